/* Semaphore sets and what processes will undo of them. Internal to src/ipc and the dump. */
#ifndef FERMATA_IPC_SEM_H
#define FERMATA_IPC_SEM_H

#include "engine/inject.h"
#include "ipc/ipc.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

typedef VEC(int) sem_ids;
/* All sets of the namespace. */
void sem_list(struct session *s, sem_ids *ret);

/* The value of a semaphore of a set that the images have, or -ENOENT. */
int sem_value(const struct tree *tree, int id, uint32_t number);

/* sem_undo.c. Who may have adjustments: sets task.may_undo. */
int sem_undo_collect(struct session *s, const struct tree *tree);

#endif
