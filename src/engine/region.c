/*
 * The controller's view of a visit's region.
 *
 * The leader's first call mapped shared memory, which is opened through /proc/PID/map_files; that takes
 * CAP_CHECKPOINT_RESTORE.  Who has no more than the right to trace, as users of libfermata-inject may,
 * has the leader make a memfd, takes that, and has it mapped over the region: three more calls, and if
 * the controller dies between them a descriptor stays in the task.
 */
#include "engine/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/agent_blob.h"
#include "kernel/syscalls.h"

static int map_here(struct visit *v, int fd)
{
	void *shared = mmap(v->place, v->len, PROT_READ | PROT_WRITE,
		MAP_SHARED | (v->place ? MAP_FIXED : 0), fd, 0);
	if (shared == MAP_FAILED)
		return fail(v->s, errno, "map the agent's window");
	v->shared = shared;
	memcpy(v->shared, agent_blob_start, agent_blob_len());
	return 0;
}

/* The leader must return something that is not negative. */
static int call_there(
	struct visit *v, const char *what, uint64_t nr, const uint64_t arg[6], int64_t *ret)
{
	int r = visit_call(v, nr, arg, ret);
	if (r >= 0 && *ret < 0 && *ret >= -4095)
		r = fail(v->s, (int)*ret, "pid %d: %s", v->t->pid, what);
	return r;
}

static int make_memfd(struct visit *v, int64_t *ret_fd)
{
	/* the region is all zeros: an empty name */
	const uint64_t arg[6] = {v->region, MFD_CLOEXEC | MFD_EXEC};
	const uint64_t plain[6] = {v->region, MFD_CLOEXEC};
	int r = visit_call(v, SYS_memfd_create, arg, ret_fd);
	if (r >= 0 && *ret_fd == -EINVAL) /* before Linux 6.3 */
		r = visit_call(v, SYS_memfd_create, plain, ret_fd);
	if (r >= 0 && *ret_fd < 0)
		r = fail(v->s, (int)*ret_fd, "pid %d: make memory for the agent", v->t->pid);
	return r;
}

static int share_memfd(struct visit *v, int number)
{
	const uint64_t arg[6] = {v->region, v->len, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED,
		(uint64_t)number, 0};
	int64_t result;
	_cleanup_close_ int pidfd = sys_pidfd_open(v->t->pid, 0);
	_cleanup_close_ int fd = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, number);
	if (fd < 0)
		return fail(v->s, fd, "pid %d: get the memory for the agent", v->t->pid);
	if (ftruncate(fd, (off_t)v->len) < 0)
		return fail(v->s, errno, "make %zu bytes for the agent", v->len);
	int r = call_there(v, "map the agent", SYS_mmap, arg, &result);
	return r < 0 ? r : map_here(v, fd);
}

static int exchange(struct visit *v)
{
	int64_t number, result;
	int r = make_memfd(v, &number);
	if (r < 0)
		return r;
	r = share_memfd(v, (int)number);
	const uint64_t arg[6] = {(uint64_t)number};
	int closed = call_there(v, "close its window", SYS_close, arg, &result);
	return r < 0 ? r : closed;
}

int visit_open_region(struct visit *v)
{
	char path[80];
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", v->t->pid,
		(unsigned long long)v->region, (unsigned long long)v->region + v->len);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == EPERM)
		return exchange(v);
	if (fd < 0)
		return fail(v->s, errno, "open the agent's window %s", path);
	return map_here(v, fd);
}
