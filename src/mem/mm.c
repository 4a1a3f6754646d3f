/*
 * The layout fields of an address space, its auxiliary vector and its executable: one
 * prctl(PR_SET_MM_MAP) (kernel/sys.c, prctl_set_mm_map()).
 *
 * The kernel takes a new executable only while nothing maps the old one, which is the tool's own:
 * so this comes right after the first unmapping.  It looks at no VMA.  All of it is inherited by
 * fork, so a child of the same program only sets what differs.
 */
#include "mem/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <unistd.h>

static struct prctl_mm_map layout_of(const MmEntry *mm, int exe_fd)
{
	return (struct prctl_mm_map){
		.start_code = mm->mm_start_code,
		.end_code = mm->mm_end_code,
		.start_data = mm->mm_start_data,
		.end_data = mm->mm_end_data,
		.start_brk = mm->mm_start_brk,
		.brk = mm->mm_brk,
		.start_stack = mm->mm_start_stack,
		.arg_start = mm->mm_arg_start,
		.arg_end = mm->mm_arg_end,
		.env_start = mm->mm_env_start,
		.env_end = mm->mm_env_end,
		.auxv_size = (uint32_t)(mm->n_mm_saved_auxv * sizeof(uint64_t)),
		.exe_fd = (uint32_t)exe_fd,
	};
}

bool mm_inherits_exe(const struct task *t)
{
	return t->parent && task_lives(t->parent) && t->parent->mm->exe_file_id == t->mm->exe_file_id;
}

static bool same_layout(const MmEntry *a, const MmEntry *b)
{
	struct prctl_mm_map x = layout_of(a, -1), y = layout_of(b, -1);
	return memcmp(&x, &y, sizeof(x)) == 0 &&
		memcmp(a->mm_saved_auxv, b->mm_saved_auxv, x.auxv_size) == 0;
}

static void plan_layout(struct task *t, int exe_fd, struct program *p)
{
	struct prctl_mm_map map = layout_of(t->mm, exe_fd);
	struct arg map_arg = in_copy(p, &map, sizeof(map));
	program_link(p, map_arg, offsetof(struct prctl_mm_map, auxv),
		in(p, t->mm->mm_saved_auxv, map.auxv_size));
	program_step(p, "set the memory layout", NULL, SYS_prctl, imm(PR_SET_MM), imm(PR_SET_MM_MAP),
		map_arg, imm(sizeof(map)));
}

int mem_plan_mm(struct stubs *st, struct file_set *files, struct task *t, struct program *p)
{
	if (mm_inherits_exe(t)) {
		if (!same_layout(t->mm, t->parent->mm))
			plan_layout(t, -1, p);
		return 0;
	}
	int fd;
	int r = file_open(files, t->mm->exe_file_id, O_RDONLY, &fd);
	if (r < 0)
		return fail_context(st->s, r, "pid %d: open its executable", t->vpid);
	r = stub_send_fds(st, &fd, 1);
	close(fd);
	if (r < 0)
		return r;
	stub_plan_receive(st, p, 1);
	plan_layout(t, stub_landing(st, 0), p);
	program_step(p, "close", "the executable", SYS_close, imm((uint64_t)stub_landing(st, 0)));
	return 0;
}
