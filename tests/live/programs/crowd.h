/*
 * Many children that wait without polling: each blocks in read() until the parent closes the gate,
 * then checks itself and exits with 0.
 */
#include "check.h"
#include <sys/resource.h>

struct crowd {
	int gate[2], up[2], count;
	pid_t *pid;
};

static UNUSED void crowd_child(struct crowd *c, int index)
{
	pid_t self = getpid(), parent = getppid(), pgrp = getpgrp(), sid = getsid(0);
	uint64_t cookie = mix(index);
	char b;

	close(c->gate[1]);
	NEED(write(c->up[1], "u", 1) == 1);
	SAME(read(c->gate[0], &b, 1), 0);
	NEED(getpid() == self && getppid() == parent && getpgrp() == pgrp && getsid(0) == sid);
	NEED(cookie == mix(index));
	_exit(0);
}

static UNUSED void crowd_start(struct crowd *c, int count)
{
	char b;

	c->count = count;
	c->pid = calloc(count, sizeof(*c->pid));
	NEED(!pipe(c->gate) && !pipe(c->up));
	for (int i = 0; i < count; i++) {
		c->pid[i] = fork();
		NEED(c->pid[i] >= 0);
		if (c->pid[i] == 0)
			crowd_child(c, i);
	}
	for (int i = 0; i < count; i++)
		NEED(read(c->up[0], &b, 1) == 1);
}

static UNUSED void crowd_finish(struct crowd *c)
{
	NEED(waitpid(-1, NULL, WNOHANG) == 0);
	close(c->gate[1]);
	close(c->gate[0]);
	for (int i = 0; i < c->count; i++)
		need_exit(c->pid[i], 0);
	NEED(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}
