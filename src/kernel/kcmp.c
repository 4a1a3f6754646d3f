/*
 * kcmp(2) and kernel objects sorted by it (kernel/kcmp.c).
 *
 * A comparison costs far more than to make room in an array, so that is what they are kept in.  (The
 * kernel multiplies pointers by a random odd number before it compares them, which orders objects
 * that lie side by side in a way that made a plain tree of 100 of them 13 deep.)  The return value 3
 * ("not equal, no order") is reserved and counts as higher.
 */
#include "kernel/kcmp.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/session.h"
#include "kernel/syscalls.h"

static int compare(struct session *s, enum kcmp_type type, pid_t pid1, pid_t pid2,
	unsigned long index1, unsigned long index2)
{
	int order = sys_kcmp(pid1, pid2, type, index1, index2);
	if (order >= 0)
		return order == 0 ? 0 : order == 1 ? -1 : 1;
	const char *remedy = order == -ENOSYS ? "the kernel needs CONFIG_KCMP"
		: order == -EPERM             ? "needs CAP_SYS_PTRACE"
					      : NULL;
	if (type == KCMP_FILE)
		fail_remedy(s, order, remedy, "pid %d fd %lu: cannot compare with pid %d fd %lu",
			pid1, index1, pid2, index2);
	else
		fail_remedy(s, order, remedy, "pid %d: cannot compare with pid %d", pid1, pid2);
	/* -EPERM is -1, which here means "lower". */
	return order == -EPERM ? -EACCES : order;
}

int kcmp_files(struct session *s, pid_t pid1, int fd1, pid_t pid2, int fd2)
{
	return compare(s, KCMP_FILE, pid1, pid2, (unsigned long)fd1, (unsigned long)fd2);
}

int kcmp_tasks(struct session *s, enum kcmp_type type, pid_t pid1, pid_t pid2)
{
	return compare(s, type, pid1, pid2, 0, 0);
}

int kcmp_epoll_target(struct session *s, pid_t pid, int fd, pid_t epoll_pid, uint32_t efd,
	uint32_t tfd, uint32_t toff)
{
	struct kcmp_epoll_slot slot = {.efd = efd, .tfd = tfd, .toff = toff};
	return compare(s, KCMP_EPOLL_TFD, pid, epoll_pid, (unsigned long)fd, (uintptr_t)&slot);
}

/* How the object sorts to that of a node: -1, 0, 1, or below -1 a negative errno. */
static int order_to(struct session *s, const struct kcmp_tree *t, const struct kcmp_node *n,
	pid_t pid, int fd, uint64_t hash)
{
	if (hash != n->hash)
		return hash < n->hash ? -1 : 1;
	return compare(s, t->type, pid, n->pid, (unsigned long)fd, (unsigned long)n->fd);
}

static int insert(struct session *s, struct kcmp_tree *t, pid_t pid, int fd, uint64_t hash,
	struct kcmp_node **ret)
{
	size_t low = 0, high = t->sorted.n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		struct kcmp_node *n = t->sorted.v[middle];
		int order = order_to(s, t, n, pid, fd, hash);
		if (order < -1)
			return order;
		if (!order) {
			*ret = n;
			return 0;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	struct kcmp_node *n = arena_new(&s->arena, struct kcmp_node);
	*n = (struct kcmp_node){.id = t->next_id++, .pid = pid, .fd = fd, .hash = hash};
	size_t n_behind = t->sorted.n - low;
	(void)vec_push(&s->arena, &t->sorted);
	memmove(&t->sorted.v[low + 1], &t->sorted.v[low], n_behind * sizeof(*t->sorted.v));
	t->sorted.v[low] = *ret = n;
	return 0;
}

int kcmp_tree_task(struct session *s, struct kcmp_tree *t, pid_t pid, struct kcmp_node **ret)
{
	return insert(s, t, pid, /* fd= */ 0, /* hash= */ 0, ret);
}

int kcmp_tree_file(struct session *s, struct kcmp_tree *t, pid_t pid, int fd, uint64_t key,
	struct kcmp_node **ret)
{
	return insert(s, t, pid, fd, key, ret);
}
