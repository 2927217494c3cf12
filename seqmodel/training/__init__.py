"""Fitting a network: from stored windows to a stored version; Keras only when one is fitted."""

from seqmodel.training.ensembles import fit_ensemble
from seqmodel.training.fitting import Fitted, fit_model
from seqmodel.training.versions import train_model

__all__ = ["Fitted", "fit_ensemble", "fit_model", "train_model"]
