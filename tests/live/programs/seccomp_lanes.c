/*
 * The same as seccomp_threads, with so many threads that two of the tool share them.
 * PROVES: F314 F318 F004
 */
#define COUNT 48
#include "seccomp_threads.c"
