"""After a forecast is out: what came, what moved, and what follows."""
