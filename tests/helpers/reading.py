"""What the readers say when they refuse a file."""

import pytest

from dafnet_core.data.readers import ReadError, read


def refusal(*files, mask=False):
    with pytest.raises(ReadError) as caught:
        read(*files, mask=mask)
    message = str(caught.value)
    assert "Traceback" not in message
    assert "\n" not in message
    assert len(message) < 400
    return message
