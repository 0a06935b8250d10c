from mmresizer.utils.errors import describe_error


def raise_nothing_said():
    raise NotImplementedError


def test_describes_an_error_without_words():
    try:
        raise_nothing_said()
    except NotImplementedError as e:
        text = describe_error(e)
    assert text.startswith("NotImplementedError: raised by raise_nothing_said, ")
    assert text.endswith("test_errors.py, line 5")


def test_describes_an_error_in_one_line():
    assert describe_error(ValueError("two\n  lines")) == "ValueError: two lines"
