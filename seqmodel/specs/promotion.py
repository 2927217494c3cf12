"""When the challenger replaces the champion, and what becomes of old versions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seqmodel.specs.base import Address, Share, Spec


class PromotionSpec(Spec):
    """When the challenger replaces the champion."""

    metric: (
        Literal[
            "mase",
            "mae",
            "rmse",
            "wql",
            "log_loss",
            "accuracy",
            "macro_f1",
            "roc_auc",
            "average_precision",
            "top_k",
            "calibration_error",
        ]
        | None
    ) = Field(None, description="score compared; by default mase, of classes log_loss")
    margin: float = Field(
        0.0, ge=0, lt=1, description="share by which the challenger must be better"
    )
    test: Literal["diebold_mariano", "bootstrap", "none"] = Field(
        "diebold_mariano",
        description="paired test that the gain must pass beside the margin: Diebold-Mariano with"
        " the small-sample correction, or a bootstrap of blocks of cutoffs",
    )
    level: float = Field(
        0.05,
        gt=0,
        le=0.5,
        description="share of equal challengers that may pass the test by chance",
    )
    first_level: float = Field(
        0.25,
        gt=0,
        le=0.5,
        description="the same where no model serves yet, as a share: keeping the baseline for lack"
        " of proof costs as much as a wrong first model",
    )
    coverage_loss: Share = Field(
        0.1,
        description="share of targets by which the interval's coverage may be further from nominal"
        " than that of what is replaced",
    )
    bias_rise: Share = Field(
        0.1,
        description="share of the baseline's MAE by which the bias may be larger than that of what"
        " is replaced",
    )
    group_loss: float = Field(
        0.1,
        ge=0,
        description="share by which the error of a group of series may be higher, where that is not"
        " chance",
    )
    group_by: str | None = Field(
        None,
        description="static covariate whose values are the groups of series; without it small,"
        " medium and large series by their mean size",
    )
    approval: bool = Field(
        default=False,
        description="a person must agree in the UI before the challenger serves; the run is"
        " suspended after the forecast has been published",
    )
    patience: float = Field(
        86_400, gt=0, description="time a person has to agree before the champion is kept (seconds)"
    )


class RegistrySpec(Spec):
    """Old versions, and a registry elsewhere."""

    nights: int | None = Field(
        None,
        ge=1,
        description="age from which on tables, windows, reports and versions that nothing names are"
        " removed (nights); without it nothing is",
    )
    forecast_nights: int | None = Field(
        None,
        ge=1,
        description="age from which on forecasts are removed (nights); without it all are kept, and"
        " with them the versions and tables they name",
    )
    history_nights: int | None = Field(
        None,
        ge=1,
        description="age from which on the watch's histories of accuracy, scores and drift are"
        " removed (nights); without it all are kept",
    )
    mlflow: Address | None = Field(
        None,
        description="address of an MLflow tracking server, or sqlite:///file, that gets every"
        " promoted version (extra [mlflow])",
    )
