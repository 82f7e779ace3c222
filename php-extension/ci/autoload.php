<?php
// Loads the classes of a framework: CLASSES holds lines of a namespace, a space and a folder.
spl_autoload_register(function (string $class): void {
    foreach (explode("\n", trim(getenv('CLASSES'))) as $line) {
        [$prefix, $folder] = explode(' ', $line, 2);
        $file = $folder . '/' . strtr(substr($class, strlen($prefix)), '\\', '/') . '.php';
        if (strncmp($class, $prefix, strlen($prefix)) === 0 && is_file($file)) {
            require $file;
            return;
        }
    }
});
foreach (explode("\n", trim((string) getenv('FUNCTIONS'))) as $file) {
    if (is_file($file)) {
        require $file;
    }
}
