<?php
// Answers the requests of the test beside this file. PHP's own server serves them all in one process.

/** Ends the script with a fatal error when it is destroyed. */
class Ends
{
    function __destruct()
    {
        trigger_error('stop', E_USER_ERROR);
    }
}

switch ($_SERVER['REQUEST_URI']) {
    case '/figures':
        $pages = explode(' ', file_get_contents('/proc/self/statm'))[1];
        echo count(scandir('/proc/self/fd')), ' ', 4096 * (int) $pages;
        break;
    case '/timer':
        $base = new EventBase;
        $timer = Event::timer($base, function () { echo 'fired'; });
        $timer->add(0);
        $base->loop();
        break;
    case '/fatal':
        $base = new EventBase;
        $timer = Event::timer($base, function () { trigger_error('stop', E_USER_ERROR); });
        $timer->add(0);
        $base->loop();
        break;
    case '/object':
        $base = new EventBase;
        $listener = new EventListener($base, 'strlen', null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
        $bases = array_fill(0, 1_000_000, null);
        ini_set('memory_limit', memory_get_usage(true));
        for ($n = 0; ; $n++) {
            $bases[$n] = $listener->getBase(); // the last one gets no object
        }
    case '/event':
        $event = new Event(new EventBase, -1, Event::TIMEOUT, 'strlen', new Ends);
        unset($event); // which destroys its data
        break;
    case '/listener':
        $base = new EventBase;
        $listener = new EventListener($base, 'strlen', null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
        $map = new WeakMap;
        $map[$listener] = new Ends;
        unset($listener);
        break;
    case '/text':
        $buffer = new EventBuffer;
        $buffer->add(str_repeat('x', 10_000_000));
        $copy = new Ends;
        $buffer->copyout($copy, 10_000_000); // which destroys what the variable had
        break;
}
