/* Reading and writing a stopped task's memory, past page protections: /proc/PID/mem. */
#ifndef FERMATA_ENGINE_REMOTE_H
#define FERMATA_ENGINE_REMOTE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor of the task's memory for the _at functions, or a negative errno. */
int remote_open(pid_t pid);

/* 0 or a negative errno; all len bytes or none count. */
int remote_read_at(int mem, uint64_t addr, void *buf, size_t len);
int remote_write_at(int mem, uint64_t addr, const void *buf, size_t len);
int remote_read(pid_t pid, uint64_t addr, void *buf, size_t len);
int remote_write(pid_t pid, uint64_t addr, const void *buf, size_t len);

#endif
