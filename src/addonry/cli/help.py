"""How a command's help shows lines to try. Apart from ``cli.output``, so that the list of commands stays quick."""


def examples(*lines: str) -> str:
    """An epilog with lines to try, which Click leaves as they are."""
    heading = "Example:" if len(lines) == 1 else "Examples:"
    # Click does not rewrap the lines of a paragraph that begins with this character.
    return "\n".join(("\b", heading, *(f"  {line}" for line in lines)))
