"""Nightly forecasts for many related time series: the library, without Prefect."""
