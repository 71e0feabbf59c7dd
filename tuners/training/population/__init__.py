"""K models in one compiled program, and whether they may run so."""
