"""The command line of every flow: flags are the spec's own fields, exit codes tell what happened.

0  done
2  the spec is wrong
3  the data are refused
1  anything else
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any, final, get_type_hints

import yaml
from httpx import TransportError
from prefect import Flow
from pydantic import AwareDatetime, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliImplicitFlag,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from seqmodel.errors import SeqmodelError, SpecError
from seqmodel.reporting.night import Night
from seqmodel.reporting.summary import print_summary
from seqmodel.specs import PipelineSpec
from seqmodel.store.refs import ReportRef
from seqmodel.store.store import ROOT_VARIABLE, Store
from tasks.orphans import guard_command

#: How Prefect says that there is no server at all.
UNREACHED = "Failed to reach API"


class CommandSettings(BaseSettings):
    """What the command line adds to the spec."""

    model_config = SettingsConfigDict(
        extra="forbid", cli_exit_on_error=False, cli_hide_none_type=True, cli_avoid_json=True
    )

    deployment: str | None = Field(
        None, description="take the parameters of this deployment; flags go before them"
    )
    prefect_file: Path = Field(
        Path("prefect.yaml"), alias="prefect-file", description="file that holds the deployment"
    )
    as_of: AwareDatetime | None = Field(
        None, alias="as-of", description="moment the run pretends to be at (ISO 8601 with a zone)"
    )
    data_root: Path | None = Field(
        None, alias="data-root", description="folder of the outputs; also SEQMODEL_DATA"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before the deployment's parameters before the spec's defaults; nothing else."""
        del env_settings, dotenv_settings, file_secret_settings
        return (init_settings, DeploymentSource(settings_cls))


@final
class DeploymentSource(PydanticBaseSettingsSource):
    """The parameters of one deployment in prefect.yaml."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: `__call__` gives all values at once."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return spec and as_of of the deployment that the flags before named."""
        name = self.current_state.get("deployment")
        if name is None:
            return {}
        path = Path(self.current_state.get("prefect-file") or "prefect.yaml")
        parameters = read_parameters(path, name)
        values = dict(parameters.get("spec") or {})
        if parameters.get("as_of") is not None:
            values["as-of"] = parameters["as_of"]
        own = self.settings_cls.model_fields.keys() & parameters.keys() - {"spec", "as_of"}
        return {**values, **{name.replace("_", "-"): parameters[name] for name in own}}


def read_parameters(path: Path, deployment: str) -> dict[str, Any]:
    """Return the parameters of a deployment.

    Raises:
        SpecError: if there is no such file or deployment.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise SpecError(
            f"found no {path}, needed the file that holds deployment {deployment!r}; name it by"
            " --prefect-file"
        ) from None
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise SpecError(f"found {path} not to be YAML ({reason}), needed it so; mend it") from None
    found = {d.get("name"): d for d in (content or {}).get("deployments") or []}
    if deployment not in found:
        raise SpecError(
            f"found no deployment {deployment!r} in {path}, needed one of"
            f" {', '.join(map(str, found))}; correct --deployment"
        )
    return dict(found[deployment].get("parameters") or {})


def list_parameters(flow: Flow[Any, ReportRef]) -> dict[str, Any]:
    """Return what a flow takes beside spec and as_of: name -> type and field."""
    hints, said = get_type_hints(flow.fn, include_extras=True), flow.parameters.properties
    return {
        name: (
            CliImplicitFlag[bool] if hints[name] is bool else hints[name],
            Field(
                ... if one.default is one.empty else one.default,
                alias=name.replace("_", "-"),
                description=said[name].get("description"),
            ),
        )
        for name, one in signature(flow.fn).parameters.items()
        if name not in {"spec", "as_of"}
    }


def parse_flags(
    flags: list[str], own: Mapping[str, Any] | None = None
) -> tuple[PipelineSpec, CommandSettings]:
    """Read the command line.

    Args:
        flags: the words of the command line.
        own: further parameters of the flow, from `list_parameters`.

    Raises:
        SpecError: if a flag is unknown, or a value does not fit; one sentence with its path.
    """
    fields: Any = {
        name: (field.annotation, field) for name, field in PipelineSpec.model_fields.items()
    }
    settings = create_model("Settings", __base__=CommandSettings, **fields, **(own or {}))
    try:
        source = CliSettingsSource[Any](settings, cli_parse_args=flags, cli_exit_on_error=False)
        found = settings(**source())
        chosen = {name: getattr(found, name) for name in PipelineSpec.model_fields}
        return PipelineSpec.model_validate(chosen), found
    except ValidationError as error:
        raise SpecError(describe_invalid(error)) from None
    except SettingsError as error:
        reason = str(error).replace("\n", " ").removeprefix("error parsing CLI: ")
        raise SpecError(f"found {reason}, needed flags as --help lists them") from None


def describe_invalid(error: ValidationError) -> str:
    """Return the first fault of a spec as one sentence with the path of its knob."""
    first, *others = error.errors()
    path = ".".join(str(part) for part in first["loc"]) or "spec"
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "value_error":
        return f"{path}: {first['ctx']['error']!s}{more}"
    if first["type"] == "missing":
        return f"found no {path}, needed it; give --{path} or --deployment{more}"
    if first["type"] == "extra_forbidden":
        return f"found unknown knob {path}, needed one of those --help lists; correct it{more}"
    _, should, rest = first["msg"].partition(" should ")
    needed = f"needed it to {rest}" if should else f"needed another value ({first['msg']})"
    return f"found {path} = {first['input']!r}, {needed}; correct it{more}"


def run_command(flow: Flow[Any, ReportRef]) -> None:
    """Run one flow as a command, print its summary, and exit with its code."""
    try:
        own = list_parameters(flow)
        spec, settings = parse_flags(sys.argv[1:], own)
        if settings.data_root is not None:
            os.environ[ROOT_VARIABLE] = str(settings.data_root)
        _quieten()
        guard_command()
        further = {name: getattr(settings, name) for name in own}
        ref = flow(spec=spec, as_of=settings.as_of, **further)
    except SeqmodelError as error:
        _say(f"seqmodel: {error}")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - Prefect has logged the traceback already
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, TransportError) or str(error).startswith(UNREACHED):
            _say(
                f"seqmodel: found no answer from Prefect's server ({reason}), needed it to the end;"
                " what is published stands, start the server or correct PREFECT_API_URL, and run"
                " again"
            )
            # Prefect would try for minutes to tell it what is still in its queues.
            sys.stdout.flush()
            os._exit(1)
        _say(f"seqmodel: found {reason}, needed a run without; see above")
        sys.exit(1)
    store = Store.from_environment()
    night = Night.model_validate(store.read_json(ref.night))
    print_summary(night)


def _say(line: str) -> None:
    sys.stderr.write(" ".join(line.split()) + "\n")


class _NoTraceback(logging.Filter):
    """An error with a sentence of its own needs no traceback: the last line says it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], SeqmodelError):
            record.exc_info = None
            record.exc_text = None
        return True


def _quieten() -> None:
    """Keep tracebacks of refusals off the terminal, in every logger that Prefect made."""
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs", "prefect.engine"):
        logger = logging.getLogger(name)
        logger.addFilter(_NoTraceback())
        for handler in logger.handlers:
            handler.addFilter(_NoTraceback())
