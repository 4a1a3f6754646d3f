/* The two sides of credentials: creds.c reads them, creds_restore.c sets them. */
#ifndef FERMATA_TASK_CREDS_H
#define FERMATA_TASK_CREDS_H

#include "engine/program.h"
#include "task/task.h"

int creds_check(struct session *s, struct thread *t);
int creds_plan(struct session *s, struct thread *t, struct program *p);

#endif
