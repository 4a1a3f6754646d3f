/* What the tests of src/mem share: a live child, stopped, with a model of it. */
#ifndef FERMATA_TESTS_UNIT_TEST_MEM_H
#define FERMATA_TESTS_UNIT_TEST_MEM_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_proc.h"

#include "cli/options.h"
#include "engine/seize.h"
#include "image/dir.h"
#include "image/pagemap.h"
#include "mem/pages_dump.h"
#include "mem/vma_dump.h"

/* Files are not what is tested here: every mapping of one gets the next number. */
struct file_dump {
	uint32_t n_mappings;
};

int file_dump_mapping(struct file_dump *d, struct task *t, const struct vma_info *vma,
	uint32_t *ret_id, uint32_t *ret_type, struct mapping_kind *ret_kind)
{
	(void)t;
	*ret_kind = (struct mapping_kind){0};
	*ret_id = ++d->n_mappings;
	*ret_type = strcmp(vma->name, "/dev/zero (deleted)") ? FD_TYPES__REG : FD_TYPES__MEMFD;
	return 0;
}

int file_dump_path(struct file_dump *d, struct task *t, const char *proc_link, uint32_t *ret_id,
	uint32_t *ret_type)
{
	(void)d, (void)t, (void)proc_link;
	*ret_id = 1000;
	*ret_type = FD_TYPES__REG;
	return 0;
}

uint32_t file_dump_plugin_mapping(struct file_dump *d, const char *name, uint32_t flags)
{
	(void)name, (void)flags;
	return ++d->n_mappings;
}

void file_dump_reserve_shmid(struct file_dump *d, uint32_t id)
{
	(void)d, (void)id;
}

static inline int collect_vmas(
	struct session *s, struct file_dump *files, struct task *t, struct vma_dump **ret)
{
	int r = vma_dump_read(s, t, 0, 0, ret);
	return r < 0 ? r : vma_dump_collect(s, files, *ret);
}

/* cmocka's fail_msg() cannot be used beside our fail(). */
#define bad(...) (print_error(__VA_ARGS__), assert_true(false))

struct victim {
	struct session *s;
	struct tree tree;
	struct task *t;
	struct file_dump files;
	char dir[32];
};

/* Forks; the child has what `make` maps (called before, in both) and waits. */
/* On one processor: the kernel writes its number into the child's rseq area, which is compared. */
static inline void stay_here(void)
{
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
}

static inline pid_t start_child(void)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		char c = 0;
		stay_here();
		if (write(ready[1], &c, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	char c;
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static inline void stop_child(struct victim *v, struct session *s, pid_t pid)
{
	*v = (struct victim){.s = s, .dir = "/dev/shm/test_mem.XXXXXX"};
	int signo;
	v->t = task_new(s, &v->tree, NULL, pid);
	struct thread *th = thread_new(s, v->t, pid);
	assert_int_equal(seize_thread(s, pid, 0, &signo), SEIZED_RUNNING);
	long options = PTRACE_O_TRACESYSGOOD;
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)options), 0);
	assert_int_equal(ptrace(PTRACE_GETSIGMASK, pid, sizeof(th->sigmask), &th->sigmask), 0);
	assert_int_equal(arch_get_gp(pid, &th->regs.gp), 0);
	assert_int_equal(arch_get_xstate(s, pid, &th->regs), 0);
	assert_int_equal(proc_stat_read(s, pid, &v->t->stat), 0);
	assert_non_null(mkdtemp(v->dir));
	assert_int_equal(image_dir_open(s, v->dir, &s->images), 0);
}

static inline void end_child(struct victim *v)
{
	kill(v->t->pid, SIGKILL);
	while (waitpid(v->t->pid, NULL, __WALL) > 0)
		;
	image_dir_close(v->s->images);
	v->s->images = NULL;
	char *command = arena_printf(&v->s->arena, "rm -rf %s", v->dir);
	assert_int_equal(system(command), 0);
}

static inline const VmaEntry *vma_at(const struct victim *v, const void *addr)
{
	for (size_t i = 0; i < v->t->mm->n_vmas; i++) {
		const VmaEntry *e = v->t->mm->vmas[i];
		if (e->start <= (uintptr_t)addr && (uintptr_t)addr < e->end &&
			!(e->status & VMA_GUARD))
			return e;
	}
	return NULL;
}

#endif
