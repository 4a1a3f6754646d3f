/*
 * The same as threads_signals, with so many threads that two of the tool share them.
 * PROVES: F004
 */
#define COUNT 48
#include "threads_signals.c"
