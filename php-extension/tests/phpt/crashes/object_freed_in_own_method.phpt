--TEST--
The object whose method is an event's callback lives until the method returns
--FILE--
<?php
class Handler
{
    public $name = 'handler';

    function ready()
    {
        global $event;
        $event->free();
        $event = null;
        echo "the $this->name is still there\n";
    }

    function __destruct()
    {
        echo "destroyed\n";
    }
}
$base = new EventBase;
$event = Event::timer($base, [new Handler, 'ready']);
$event->add(0);
$base->loop();
echo "end\n";
?>
--EXPECT--
the handler is still there
destroyed
end
