<?php
// Loads the classes and functions of checkouts as their composer.json says: CHECKOUTS holds a
// folder per line.
$prefixes = $files = [];
foreach (explode("\n", trim(getenv('CHECKOUTS'))) as $checkout) {
    $composer = json_decode(file_get_contents("$checkout/composer.json"), true);
    foreach (['autoload', 'autoload-dev'] as $key) {
        foreach ($composer[$key]['psr-4'] ?? [] as $prefix => $folders) {
            foreach ((array) $folders as $folder) {
                $prefixes[$prefix][] = "$checkout/" . trim($folder, './');
            }
        }
    }
    foreach ($composer['autoload']['files'] ?? [] as $file) {
        $files[] = "$checkout/$file";
    }
}
uksort($prefixes, fn ($a, $b) => strlen($b) <=> strlen($a)); // the most specific first
spl_autoload_register(function (string $class) use ($prefixes): void {
    foreach ($prefixes as $prefix => $folders) {
        foreach ($folders as $folder) {
            $file = $folder . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
            if (strncmp($class, $prefix, strlen($prefix)) === 0 && is_file($file)) {
                require_once $file;
                return;
            }
        }
    }
});
foreach ($files as $file) {
    require_once $file;
}
