/*
 * The iterator "task" runs our program for every thread in sight; it writes down members of
 * task_struct, and of what that points to, of those that this process is the parent or tracer of.
 *
 * Members are found by name in BTF and must be of the type that is expected: a kernel that has one
 * elsewhere has no records (or, of an optional one, says what makes callers ask on).  They are
 * copied by a helper, which gives zeros for what is not there, such as the memory of a zombie; the
 * verifier takes a third of a millisecond for each pointer that a program follows itself.
 *
 * Loading takes privileges in the initial user namespace, and a process has these only if it is
 * there; so ids need no translation.
 */
#include "kernel/task_records.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/bpf_iter.h"
#include "kernel/btf.h"

/* A member of a structure, or a member of that member. */
struct step {
	const char *structure, *member, *inner_structure, *inner_member;
};

enum { STEPS_MAX = 3 };

/* From the task along pointers, each to the structure of the next step; then so many bytes. */
struct path {
	struct step steps[STEPS_MAX];
	size_t size; /* 0: a pointer */
};

static const struct field {
	size_t at;
	struct path path;
	bool optional; /* 1 is written where this kernel has none */
} fields[] = {
#define AT(member) offsetof(struct task_record, member)
#define POINTER(member)                      \
	{                                    \
		{{"task_struct", member}}, 0 \
	}
#define OF_SIGNAL(member, size)                                              \
	{                                                                    \
		{{"task_struct", "signal"}, {"signal_struct", member}}, size \
	}
#define OF_FS(member)                                                                      \
	{                                                                                  \
		{{"task_struct", "fs"}, {"fs_struct", member}}, sizeof(struct path_record) \
	}
	{AT(pid_ns_level), {{{"task_struct", "thread_pid"}, {"pid", "level"}}, 4}},
	{AT(mm), POINTER("mm")},
	{AT(files), POINTER("files")},
	{AT(fs), POINTER("fs")},
	{AT(sighand), POINTER("sighand")},
	{AT(nsproxy), POINTER("nsproxy")},
	{AT(cgroups), POINTER("cgroups"), true},
	{AT(creds), POINTER("real_cred")},
	{AT(user_ns), {{{"task_struct", "real_cred"}, {"cred", "user_ns"}}, 0}},
	{AT(sig_pnd), {{{"task_struct", "pending", "sigpending", "signal"}}, 8}},
	{AT(seccomp), {{{"task_struct", "seccomp", "seccomp", "mode"}}, 4}},
	{AT(shadow_stack), {{{"task_struct", "thread", "thread_struct", "features"}}, 8}, true},
	{AT(posix_timers), OF_SIGNAL("posix_timers", 8), true},
	{AT(oom_score_adj), OF_SIGNAL("oom_score_adj", 2)},
	{AT(loginuid), {{{"task_struct", "loginuid"}}, 4}},
	{AT(exe), {{{"task_struct", "mm"}, {"mm_struct", "exe_file"}, {"file", "f_path"}},
			  sizeof(struct path_record)}},
	{AT(root), OF_FS("root")},
	{AT(cwd), OF_FS("pwd")},
};
enum { N_FIELDS = sizeof(fields) / sizeof(*fields), RECORD = sizeof(struct task_record) };

/* --- where this kernel has them --- */

struct offsets {
	int at[STEPS_MAX];
	size_t n;
};

static int find_step(
	const struct kernel_btf *b, const struct step *st, const char *target, size_t size)
{
	const char *structure = st->inner_structure ? st->inner_structure : st->structure;
	const char *member = st->inner_structure ? st->inner_member : st->member;
	int outer = st->inner_structure
			    ? btf_find_member(b->text, b->len, st->structure, st->member)
			    : 0;
	int at = target ? btf_find_pointer_to(b->text, b->len, structure, member, target)
		 : size ? btf_find_sized(b->text, b->len, structure, member, (uint32_t)size)
			: btf_find_pointer(b->text, b->len, structure, member);
	return outer < 0 || at < 0 ? -1 : outer + at;
}

static bool find_path(const struct kernel_btf *b, const struct path *p, struct offsets *ret)
{
	*ret = (struct offsets){0};
	while (ret->n < STEPS_MAX && p->steps[ret->n].structure) {
		const struct step *st = &p->steps[ret->n];
		const char *target = ret->n + 1 < STEPS_MAX ? st[1].structure : NULL;
		int at = find_step(b, st, target, p->size);
		if (at < 0)
			return false;
		ret->at[ret->n++] = at;
	}
	return true;
}

enum { LEVEL_SHIFT = 4, NUMBER_SIZE = 4 };

/* All but user and PID namespace are named by it, and so the same for two that share it. */
static bool has_namespaces(const struct kernel_btf *b)
{
	static const char *const members[] = {"mnt_ns", "net_ns", "ipc_ns", "uts_ns", "time_ns",
		"cgroup_ns", "pid_ns_for_children", "time_ns_for_children"};
	bool all = true;
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		all &= btf_find_pointer(b->text, b->len, "nsproxy", members[i]) >= 0;
	return all;
}

/* Of struct path_record, and of the row of numbers that a struct pid ends with. */
static bool has_layout(const struct kernel_btf *b)
{
	return btf_find_pointer(b->text, b->len, "path", "mnt") ==
		       offsetof(struct path_record, mount) &&
	       btf_find_pointer(b->text, b->len, "path", "dentry") ==
		       offsetof(struct path_record, dentry) &&
	       btf_find_sized(b->text, b->len, "upid", "nr", NUMBER_SIZE) == 0 &&
	       btf_find_pointer(b->text, b->len, "upid", "ns") == 1 << (LEVEL_SHIFT - 1);
}

/* --- the program --- */

enum { INSNS_MAX = 512 };

struct writing {
	const struct kernel_btf *btf;
	bool failed; /* something is not where it should be */
	struct bpf_insn insns[INSNS_MAX];
	size_t n;
};

static void add(struct writing *w, struct bpf_insn insn)
{
	if (w->n < INSNS_MAX)
		w->insns[w->n++] = insn;
	else
		w->failed = true;
}

#define ADD(w, ...) add((w), (struct bpf_insn)BPF_INSN(__VA_ARGS__))

/* record + at = size bytes from r3, with zeros up to a whole word */
static void add_copy(struct writing *w, size_t at, size_t size)
{
	int16_t slot = (int16_t)((int)at - RECORD);
	if (size < sizeof(uint64_t))
		ADD(w, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, slot, 0);
	ADD(w, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_10, 0, 0);
	ADD(w, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, slot);
	ADD(w, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, (int)size);
	ADD(w, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel);
}

/* to = the word at record + at */
static void add_load(struct writing *w, uint8_t to, size_t at)
{
	ADD(w, BPF_LDX | BPF_MEM | BPF_DW, to, BPF_REG_10, (int16_t)((int)at - RECORD), 0);
}

/* record + at = what the path leads to from a task; pointers on the way are put there, too */
static bool add_path(struct writing *w, uint8_t task, const struct path *p, size_t at)
{
	struct offsets offsets;
	if (!find_path(w->btf, p, &offsets))
		return false;
	ADD(w, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, task, 0, 0);
	for (size_t i = 0; i < offsets.n; i++) {
		size_t size = i + 1 < offsets.n || !p->size ? sizeof(uint64_t) : p->size;
		if (i)
			add_load(w, BPF_REG_3, at);
		ADD(w, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, offsets.at[i]);
		add_copy(w, at, size);
	}
	return true;
}

static void add_field(struct writing *w, const struct field *f)
{
	if (add_path(w, BPF_REG_6, &f->path, f->at))
		return;
	ADD(w, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, (int16_t)((int)f->at - RECORD), 1);
	w->failed |= !f->optional;
}

/* Ends the program here unless a == b; the jump is aimed by aim_jumps(). */
static void add_unless_equal(struct writing *w, uint8_t a, uint8_t b)
{
	ADD(w, BPF_JMP | BPF_JNE | BPF_X, a, b, 0, 0);
}

/* r6 = the task, r7 = the reader, r9 = the context; ends if that is not the task's parent. */
static void add_beginning(struct writing *w)
{
	static const struct path tgid = {{{"task_struct", "tgid"}}, 4};
	static const struct path parent = {{{"task_struct", "parent"}, {"task_struct", "tgid"}}, 4};
	ADD(w, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_9, BPF_REG_1, 0, 0);
	add(w, (struct bpf_insn)BPF_LOAD(BPF_DW, BPF_REG_6, BPF_REG_1, BPF_CTX_TASK));
	ADD(w, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_6, 0, 0, 0); /* the end comes without one */
	ADD(w, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_task);
	ADD(w, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_7, BPF_REG_0, 0, 0);
	w->failed |= !add_path(w, BPF_REG_7, &tgid, 0);
	add_load(w, BPF_REG_8, 0);
	w->failed |= !add_path(w, BPF_REG_6, &parent, 0);
	add_load(w, BPF_REG_1, 0);
	add_unless_equal(w, BPF_REG_1, BPF_REG_8);
}

/* record->tid = task->thread_pid->numbers[reader->thread_pid->level].nr */
static void add_number(struct writing *w)
{
	static const struct path level = {{{"task_struct", "thread_pid"}, {"pid", "level"}}, 4};
	static const struct path pid = {{{"task_struct", "thread_pid"}}, 0};
	int numbers = btf_find_member(w->btf->text, w->btf->len, "pid", "numbers");
	w->failed |= numbers < 0 || !add_path(w, BPF_REG_7, &level, AT(tid));
	add_load(w, BPF_REG_8, AT(tid));
	ADD(w, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_8, 0, 0, LEVEL_SHIFT);
	w->failed |= !add_path(w, BPF_REG_6, &pid, AT(tid));
	add_load(w, BPF_REG_3, AT(tid));
	ADD(w, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_3, BPF_REG_8, 0, 0);
	ADD(w, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, numbers);
	add_copy(w, AT(tid), NUMBER_SIZE);
}

static void add_end(struct writing *w)
{
	static const struct bpf_insn end[] = {
		BPF_INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_9, 0, 0),
		BPF_WRITE_AND_END(RECORD),
	};
	for (size_t i = 0; i < sizeof(end) / sizeof(*end); i++)
		add(w, end[i]);
}

/* All lead to the last two instructions. */
static void aim_jumps(struct writing *w)
{
	for (size_t i = 0; i < w->n; i++) {
		uint8_t code = w->insns[i].code;
		if (BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_CALL &&
			BPF_OP(code) != BPF_EXIT)
			w->insns[i].off = (int16_t)(w->n - 2 - (i + 1));
	}
}

int task_records_open(void)
{
	_cleanup_(kernel_btf_free) struct kernel_btf btf = {0};
	struct writing w = {.btf = &btf};
	if (!kernel_btf_get(&btf) || !has_layout(&btf) || !has_namespaces(&btf))
		return -ENOENT;
	add_beginning(&w);
	add_number(&w);
	for (size_t i = 0; i < N_FIELDS; i++)
		add_field(&w, &fields[i]);
	add_end(&w);
	aim_jumps(&w);
	const struct bpf_iter iterator = {
		.attachment = "bpf_iter_task", .insns = w.insns, .n_insns = w.n};
	return w.failed ? -ENOENT : bpf_iter_load(&iterator);
}

int task_records_read(struct arena *a, int program, task_record_vec *ret)
{
	struct task_record some[256];
	_cleanup_close_ int fd = bpf_iter_start(program, /* pidfd= */ -1);
	if (fd < 0)
		return fd;
	ret->n = 0;
	ssize_t n;
	while ((n = bpf_iter_read(fd, some, sizeof(some))) > 0)
		for (size_t i = 0; i < (size_t)n / sizeof(*some); i++) {
			if (!some[i].tid || (ret->n && some[i].tid <= ret->v[ret->n - 1].tid))
				return -ENOTSUP;
			*vec_push(a, ret) = some[i];
		}
	return (int)n;
}

const struct task_record *task_record_find(const task_record_vec *v, pid_t tid)
{
	size_t low = 0, high = v->n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (v->v[middle].tid == (uint64_t)tid)
			return &v->v[middle];
		if (v->v[middle].tid < (uint64_t)tid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
