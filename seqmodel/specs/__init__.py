"""Every knob of a pipeline, with its unit, bounds and default.

The models are frozen and refuse unknown names, so that a misspelt knob is an error with its path
and never a silent default. Field descriptions are the help text of the command line and of the
form in the Prefect UI.
"""

from seqmodel.specs.backtest import BacktestSpec
from seqmodel.specs.base import Columns, Spec
from seqmodel.specs.members import Baseline, Member, MemberSpec, list_members
from seqmodel.specs.model import ModelSpec, OutputSpec
from seqmodel.specs.monitor import MonitorSpec
from seqmodel.specs.pipeline import ForecastSpec, PipelineSpec
from seqmodel.specs.promotion import PromotionSpec, RegistrySpec
from seqmodel.specs.source import GridSpec, QualitySpec, RuleSpec, SourceSpec
from seqmodel.specs.train import TrainSpec
from seqmodel.specs.tune import RangeSpec, TuneSpec
from seqmodel.specs.window import FeatureSpec, RollingSpec, Scale, ScalingSpec, WindowSpec

__all__ = [
    "BacktestSpec",
    "Baseline",
    "Columns",
    "FeatureSpec",
    "ForecastSpec",
    "GridSpec",
    "Member",
    "MemberSpec",
    "ModelSpec",
    "MonitorSpec",
    "OutputSpec",
    "PipelineSpec",
    "PromotionSpec",
    "QualitySpec",
    "RangeSpec",
    "RegistrySpec",
    "RollingSpec",
    "RuleSpec",
    "Scale",
    "ScalingSpec",
    "SourceSpec",
    "Spec",
    "TrainSpec",
    "TuneSpec",
    "WindowSpec",
    "list_members",
]
