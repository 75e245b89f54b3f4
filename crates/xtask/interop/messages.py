"""The messages that a case tells of, for the peers in Python."""


def message(kind, size):
    """A text or binary message of this many bytes, as all sides make it."""
    if kind == "text":
        times = min(size, 1 << 20) // 10
        return "aé€😀" * times + "x" * (size - 10 * times)
    return (bytes(byte & 63 for byte in range(251)) * (size // 251 + 1))[:size]


def all_messages(case):
    """Those that the sender sends."""
    return [message(kind, size) for kind in case["kinds"] for size in case["sizes"]]


def pieces(whole, count):
    """The message in so many fragments as far as it has the bytes, but in two at least; or whole if there is no number."""
    step = max(-(-len(whole) // count) if count else len(whole), 1)
    parts = [whole[at : at + step] for at in range(0, max(len(whole), 1), step)]
    return [whole[:0], *parts] if count and len(parts) < 2 else parts
