--TEST--
An exception comes out of both loops at once
--FILE--
<?php
$one = new EventBase;
$two = new EventBase;
foreach ([$one, $two] as $base) {
    $late[] = $timer = Event::timer($base, function () { echo "late\n"; });
    $timer->add(0.05);
}
$inner = Event::timer($two, function () { throw new Exception('deep'); });
$inner->add(0);
$outer = Event::timer($one, function () use ($two) {
    $two->loop();
    echo "not reached\n";
});
$outer->add(0);
try {
    @$one->loop();
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
var_dump($late[0]->pending, $late[1]->pending);
?>
--EXPECT--
deep
bool(true)
bool(true)
