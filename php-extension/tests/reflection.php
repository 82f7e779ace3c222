<?php
// Prints what reflection shows of the extension, for the test beside this file.
$classes = [];
foreach ((new ReflectionExtension('event'))->getClasses() as $name => $class) {
    $methods = [];
    foreach ($class->getMethods() as $method) {
        if ($method->class !== $name) {
            continue;
        }
        $params = [];
        foreach ($method->getParameters() as $param) {
            $params[] = [
                'name' => $param->getName(),
                'type' => ltrim((string) $param->getType(), '?'),
                'nullable' => $param->allowsNull(),
                'by_ref' => $param->isPassedByReference(),
                'optional' => $param->isOptional(),
                'default' => $param->isDefaultValueAvailable() ? var_export($param->getDefaultValue(), true) : null,
            ];
        }
        $methods[$method->name] = [
            'static' => $method->isStatic(),
            'public' => $method->isPublic(),
            'params' => $params,
            'return_type' => $method->hasReturnType() ? (string) $method->getReturnType() : null,
        ];
    }
    $constants = [];
    foreach ($class->getReflectionConstants() as $constant) {
        if ($constant->class === $name) {
            $constants[$constant->name] = $constant->getValue();
        }
    }
    $properties = [];
    foreach ($class->getProperties() as $property) {
        if ($property->class === $name) {
            $properties[] = $property->name;
        }
    }
    $classes[$name] = [
        'final' => $class->isFinal(),
        'parent' => $class->getParentClass() ? $class->getParentClass()->name : null,
        'instantiable' => $class->isInstantiable(),
        'constants' => (object) $constants,
        'properties' => $properties,
        'methods' => (object) $methods,
    ];
}
echo json_encode(['debug' => (bool) PHP_DEBUG, 'classes' => $classes]);
