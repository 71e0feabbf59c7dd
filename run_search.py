"""The command."""


def main() -> int:
    """Run."""
    return 0
