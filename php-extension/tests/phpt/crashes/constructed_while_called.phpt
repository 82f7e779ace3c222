--TEST--
An object that is constructed again while its method reads the arguments is not freed under the call
--FILE--
<?php
final class Text
{
    public function __construct(private EventBuffer $buffer)
    {
    }

    public function __toString(): string
    {
        $this->buffer->__construct();
        return "text";
    }
}

$buffer = new EventBuffer;
$buffer->add("before ");
var_dump($buffer->add(new Text($buffer)));
var_dump($buffer->read(100));

final class Lender
{
    public static EventBase $base;
    public static mixed $lent;
    public mixed $context;

    public function stream_open(): bool
    {
        return true;
    }

    public function stream_cast(int $as): mixed
    {
        self::$base->__construct();
        return self::$lent;
    }

    public function stream_set_option(): bool
    {
        return false;
    }
}

[Lender::$lent, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
Lender::$base = $base = new EventBase;
stream_wrapper_register("lender", Lender::class);
$event = new Event($base, fopen("lender://", "r+"), Event::READ, function () {
    echo "readable\n";
});
var_dump($event->add());
fwrite($other, "x");
$base->loop(EventBase::LOOP_ONCE);
?>
--EXPECT--
bool(true)
string(4) "text"
bool(true)
readable
