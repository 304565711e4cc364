"""Which commands are a long train. RFC 5321 §4.5.3.1.8: a message may have a hundred recipients and more."""

from service.net.lmtp_train import FORGIVEN, MOST, Train


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_commands_at_once_are_a_long_train_from_so_many_on() -> None:
    train = Train(Clock())
    train.answered(MOST)
    assert not train.is_long
    train.answered(1)
    assert train.is_long


def test_commands_that_come_slowly_never_are() -> None:
    clock = Clock()
    train = Train(clock)
    for _ in range(100):
        train.answered(FORGIVEN)
        assert not train.is_long
        clock.now += 1.0


def test_a_long_train_is_forgotten_in_time_also_where_nothing_more_comes() -> None:
    clock = Clock()
    train = Train(clock)
    train.answered(MOST + FORGIVEN)
    assert train.is_long
    clock.now += 1.0
    assert not train.is_long
    train.answered(1)
    assert train.is_long


def test_a_text_begins_another_however_many_recipients_it_had() -> None:
    train = Train(Clock())
    train.answered(10 * MOST)
    train.text_came()
    assert train.is_long
    train.answered(10 * MOST)
    assert not train.is_long
    train.answered(MOST)
    assert not train.is_long
    train.answered(1)
    assert train.is_long
