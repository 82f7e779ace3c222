--TEST--
A weak reference to an event that goes is empty when the event's data goes
--SKIPIF--
<?php if (PHP_VERSION_ID < 80200) die('skip PHP 8.1 lets go of properties before it empties weak references, of any class'); ?>
--FILE--
<?php
class Looks {
    public $weak, $map;
    function __destruct() {
        global $found;
        $found[] = $this->weak->get();
        var_dump($this->weak->get(), count($this->map));
    }
}
$base = new EventBase;
$looks = new Looks;
$event = Event::timer($base, fn() => 1, $looks);
$looks->weak = WeakReference::create($event);
$looks->map = new WeakMap;
$looks->map[$event] = 1;
unset($looks);
unset($event);
?>
--EXPECT--
NULL
int(0)
