/*
 * All or none: while tasks are ended, or given their freedom, one by one, the death of the controller
 * between two of them must not leave a part of a tree.  A pact is a child of ours that, should we
 * die before it is over, kills all of them.
 */
#ifndef FERMATA_ENGINE_PACT_H
#define FERMATA_ENGINE_PACT_H

#include <sys/types.h>

#include "task/task.h"

struct pact {
	pid_t pid; /* of the child; 0: none */
	int controller; /* pidfd of ours */
	bool over;
	VEC(pid_t) tasks;
};

/*
 * Covers the living tasks of the tree.  Best effort, and nothing for a single one, which needs
 * none.  p must stay where it is until pact_end().
 */
void pact_begin(struct session *s, struct pact *p, const struct tree *tree);
void pact_end(struct pact *p);

#endif
