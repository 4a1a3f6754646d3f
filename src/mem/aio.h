/* Contexts of io_setup(2) and their rings. */
#ifndef FERMATA_MEM_AIO_H
#define FERMATA_MEM_AIO_H

#include "engine/stub.h"
#include "kernel/proc_maps.h"
#include "mem.pb-c.h"
#include "task/task.h"

struct vma_dump;

bool aio_is_ring(const struct vma_info *info);

/* Dump, per task: lists its rings in t->mm; steps that tell whether they are its own. */
int aio_collect(struct vma_dump *v);
void aio_plan(struct vma_dump *v, struct program *p);
void aio_store(struct vma_dump *v, const struct program *p);
/* When all tasks are collected: waits until no more requests complete; blocks if they go on. */
int aio_quiesce(struct session *s, struct tree *tree);
/* When all is written: no request may have completed meanwhile. */
int aio_verify(struct session *s, const struct tree *tree);

/* Restore: checks the rings in the images, when the memory of t is loaded. */
int aio_check(struct session *s, struct task *t);
/* Makes the contexts in place of the anonymous memory that stands for their rings. */
int aio_restore(struct stubs *st, struct task *t);

#endif
