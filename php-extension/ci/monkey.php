<?php
// Calls the extension's methods in a random order that the seed determines, mostly with arguments
// that do not fit: php monkey.php SEED [CALLS]. Prints each call, so that the last line
// before a crash is the one that crashed. Any exception is an answer; a crash or what Valgrind
// reports is a fault.
[, $seed, $calls] = $argv + [2 => 400];
mt_srand((int) $seed);

/** A random element. */
function pick(array $from) {
    return $from[mt_rand(0, count($from) - 1)];
}

/** The extension's classes, and the objects of each that are still held. */
$classes = array_keys((new ReflectionExtension('event'))->getClasses());
$objects = array_fill_keys($classes, []);

/** No descriptor has one of these: to close what belongs to another is a fault of the program. */
const NUMBERS = [-1, 9999, 65535, 1 << 31, PHP_INT_MAX, PHP_INT_MIN];
const FLAGS = [0, 1, 2, 3, 4, 5, 6, 8, 10, 16, 18, 32, 64, 4096];
/** Handling any other signal could hide a crash. */
const SIGNALS = [10, 12, 28, 64, 65];
const TEXTS = ['', 'a', "a\0b", '127.0.0.1', '127.0.0.1:0', 'unix:/tmp', '::1', '/', '/a?b', 'GET', 'epoll', "\r\n", "\xff"];

/** Something that stands for a value of that type, or does not. */
function value(string $type): mixed {
    global $objects;
    if (mt_rand(0, 5) == 0) {
        $type = pick(['int', 'string', 'callable', 'array', 'null', 'float', 'bool', 'mixed', 'self']);
    }
    $type = ltrim($type, '?');
    if (!empty($objects[$type])) {
        return pick($objects[$type]);
    }
    return match ($type) {
        'int' => pick(NUMBERS),
        'float' => pick([0.0, -1.0, 0.001, 1e300, NAN, INF]),
        'bool' => (bool) mt_rand(0, 1),
        'string' => pick(TEXTS),
        'array' => pick([[], [1, 2], ['a' => 'b'], [[]], [1 => __FILE__, 2 => __FILE__]]),
        'callable' => callback(),
        'null' => null,
        'self' => pick(array_filter(array_merge(...array_values($objects))) ?: [null]),
        default => pick([null, -1, 'a', [], 1.5, callback(), stream(), new stdClass]),
    };
}

/** One end of a pair, with bytes in it; the other is kept. */
function stream() {
    static $kept = [];
    [$one, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($one, false);
    fwrite($other, pick(TEXTS));
    $kept[] = $other;
    if (count($kept) > 20) {
        array_splice($kept, mt_rand(0, 19), 1);
    }
    return $one;
}

/** A callback that does something to what is there, or throws. */
function callback(): Closure {
    return match (mt_rand(0, 5)) {
        0 => function () { throw new LogicException('from a callback'); },
        1, 2 => function () { step(); },
        3 => function (...$arguments) { forget(); return $arguments; },
        4 => function (&...$arguments) { $arguments = null; },
        default => fn() => 1,
    };
}

/** Lets go of something. */
function forget(): void {
    global $objects, $classes;
    $class = pick($classes);
    if ($objects[$class]) {
        array_splice($objects[$class], mt_rand(0, count($objects[$class]) - 1), 1);
    }
}

function arguments(?ReflectionMethod $method): array {
    $arguments = [];
    foreach ($method?->getParameters() ?? [] as $parameter) {
        if ($parameter->isOptional() && mt_rand(0, 2) == 0) {
            break;
        }
        $type = (string) ($parameter->getType() ?? guess($parameter->getName()));
        $arguments[] = match (true) {
            $parameter->getName() == 'signum' => pick(SIGNALS),
            $method->name == 'createSocket' => pick(NUMBERS), // it takes over a descriptor
            $type == 'int' && mt_rand(0, 2) > 0 => pick(FLAGS),
            default => value($type),
        };
    }
    if (mt_rand(0, 30) == 0) {
        $arguments[] = 1; // too many
    }
    return $arguments;
}

/** What a parameter without a type is called for. */
function guess(string $name): string {
    return match ($name) {
        'cb', 'readcb', 'writecb', 'eventcb' => 'callable',
        default => 'mixed',
    };
}

/** One call. */
function step(): void {
    global $objects, $classes, $depth;
    if ($depth > 3) {
        return;
    }
    $depth++;
    try {
        $class = new ReflectionClass(pick($classes));
        $name = $class->getName();
        if ($class->isInstantiable() && (!$objects[$name] || mt_rand(0, 5) == 0)) {
            $arguments = arguments($class->getConstructor());
            say("new $name", $arguments);
            $objects[$name][] = $class->newInstanceArgs($arguments);
            if (count($objects[$name]) > 8) {
                array_shift($objects[$name]);
            }
            return;
        }
        $method = pick($class->getMethods(ReflectionMethod::IS_PUBLIC));
        $on = $method->isStatic() ? null : ($objects[$name] ? pick($objects[$name]) : null);
        if (!$method->isStatic() && !$on) {
            return;
        }
        if (in_array($method->name, ['loop', 'dispatch'])) {
            $on->exit(0.005); // so that the loop ends
        }
        $arguments = arguments($method);
        say("$name::$method->name", $arguments);
        $result = $method->invokeArgs($on, $arguments);
        if (is_object($result) && isset($objects[get_class($result)])) {
            $objects[get_class($result)][] = $result;
        }
        if (mt_rand(0, 40) == 0) {
            use_as_php_does($on);
        }
    } catch (Throwable) {
    } finally {
        $depth--;
    }
}

/** What else PHP does to objects. */
function use_as_php_does(?object $on): void {
    if ($on) {
        foreach ([fn() => clone $on, fn() => serialize($on), fn() => json_encode($on), fn() => (array) $on,
            fn() => $on->data = $on, fn() => $on == clone $on, fn() => gc_collect_cycles()] as $what) {
            try {
                $what();
            } catch (Throwable) {
            }
        }
    }
}

function say(string $what, array $arguments): void {
    fwrite(STDERR, $what . '(' . implode(', ', array_map('get_debug_type', $arguments)) . ")\n");
}

error_reporting(0);
$depth = 0;
// A base and what hangs on it are there from the start, or little else would be.
$objects['EventBase'][] = new EventBase;
for ($number = 0; $number < (int) $calls; $number++) {
    step();
    if (mt_rand(0, 10) == 0) {
        forget();
    }
    if (mt_rand(0, 20) == 0 && $objects['EventBase']) {
        try {
            // One turn: without LOOP_ONCE it goes on for as long as anything is ready.
            pick($objects['EventBase'])->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK);
        } catch (Throwable) {
        }
    }
}
fwrite(STDERR, "done\n");
