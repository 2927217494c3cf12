"""What people look at: plots, the self-contained HTML report and the terminal's summary."""
