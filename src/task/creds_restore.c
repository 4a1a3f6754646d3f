/*
 * Setting credentials, the last privileged act of a thread.
 *
 * Only what differs from the stub's own is set.  The order is forced:
 *	groups                      need CAP_SETGID
 *	inheritable caps            may only be raised while they are in the bounding set
 *	ids                         under SECBIT_NO_SETUID_FIXUP, so that leaving uid 0 keeps the
 *caps filesystem ids              follow the effective ones at every change of those bounding caps
 *need CAP_SETPCAP ambient caps                must be permitted and inheritable, and not yet
 *forbidden by securebits securebits                  need CAP_SETPCAP permitted and effective drop
 *it no_new_privs                cannot be undone
 */
#include "task/creds.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <unistd.h>

#include "kernel/procfs.h"
#include "kernel/scan.h"
#include "kernel/syscalls.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT		 47
#define PR_CAP_AMBIENT_RAISE	 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

static const char *const cap_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

enum {
	N_CAP_NAMES = sizeof(cap_names) / sizeof(cap_names[0]),
	N_CAPS = 64,
	MAX_GROUPS = 65536,
};

struct cap_sets {
	uint64_t inh, prm, eff, bnd, amb;
};

/* What every stub starts with. */
struct own_creds {
	uint32_t uid[3], gid[3]; /* real, effective, saved */
	const uint32_t *groups;
	size_t n_groups;
	struct cap_sets caps;
	uint64_t known_caps; /* those this kernel has */
	uint32_t securebits;
	bool no_new_privs;
};

static const char *cap_name(struct session *s, int cap)
{
	return cap < N_CAP_NAMES ? cap_names[cap] : arena_printf(&s->arena, "capability %d", cap);
}

static const char *cap_list(struct session *s, uint64_t mask)
{
	const char *text = "";
	for (int cap = 0; cap < N_CAPS; cap++)
		if (mask & 1ull << cap)
			text = arena_printf(
				&s->arena, "%s%s%s", text, *text ? " " : "", cap_name(s, cap));
	return text;
}

static uint64_t mask_of(const uint32_t *words, size_t n)
{
	return (n > 0 ? words[0] : 0) | (n > 1 ? (uint64_t)words[1] << 32 : 0);
}

static struct cap_sets image_caps(const CredsEntry *e, uint64_t known)
{
	return (struct cap_sets){
		.inh = mask_of(e->cap_inh, e->n_cap_inh) & known,
		.prm = mask_of(e->cap_prm, e->n_cap_prm) & known,
		.eff = mask_of(e->cap_eff, e->n_cap_eff) & known,
		.bnd = mask_of(e->cap_bnd, e->n_cap_bnd) & known,
		.amb = mask_of(e->cap_amb, e->n_cap_amb) & known,
	};
}

/* All that this kernel has. Asking for each whether it is bounded would take any error for the end. */
static int known_caps(struct session *s, uint64_t *ret)
{
	_cleanup_proc_buf_ struct proc_buf b = {0};
	int last, r = proc_read(s, "/proc/sys/kernel/cap_last_cap", &b);
	if (r < 0)
		return fail(s, r, "read /proc/sys/kernel/cap_last_cap");
	struct scan c = SCAN(b.data, b.len);
	if (!scan_int(&c, &last) || last < 0 || last >= N_CAPS)
		return fail(s, EINVAL, "/proc/sys/kernel/cap_last_cap holds no capability");
	*ret = UINT64_MAX >> (N_CAPS - 1 - last);
	return 0;
}

/* Read once per run. */
static int own_creds(struct session *s, struct tree *tree, const struct own_creds **ret)
{
	if (!tree->own_creds) {
		struct proc_status st = {0};
		int r = proc_status_read(s, getpid(), &st);
		if (r < 0)
			return fail(s, r, "read own credentials");
		struct own_creds *own = arena_new(&s->arena, struct own_creds);
		memcpy(own->uid, st.uid, sizeof(own->uid));
		memcpy(own->gid, st.gid, sizeof(own->gid));
		own->groups = st.groups.v;
		own->n_groups = st.groups.n;
		own->caps = (struct cap_sets){
			st.cap_inh, st.cap_prm, st.cap_eff, st.cap_bnd, st.cap_amb};
		r = known_caps(s, &own->known_caps);
		if (r < 0)
			return r;
		own->securebits = (uint32_t)prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
		own->no_new_privs = st.no_new_privs > 0;
		tree->own_creds = own;
	}
	*ret = tree->own_creds;
	return 0;
}

int creds_check(struct session *s, struct thread *t)
{
	const CredsEntry *e = t->core->thread_core->creds;
	const struct own_creds *own;
	int r = own_creds(s, t->task->tree, &own);
	if (r < 0)
		return r;
	if (!e)
		return fail(s, EBADMSG, "pid %d thread %d: the image lacks its credentials",
			t->task->vpid, t->vtid);
	if (e->n_groups > MAX_GROUPS)
		return fail(s, EBADMSG, "pid %d thread %d: %zu supplementary groups", t->task->vpid,
			t->vtid, e->n_groups);
	struct cap_sets all = image_caps(e, UINT64_MAX), want = image_caps(e, own->known_caps);
	uint64_t missing = want.prm & ~own->caps.prm;
	if (missing)
		return fail_remedy(s, EPERM, "run the restore with these capabilities",
			"pid %d thread %d: holds %s, which the restoring process lacks",
			t->task->vpid, t->vtid, cap_list(s, missing));
	if (all.prm & ~own->known_caps)
		log_warn(s, "pid %d thread %d: this kernel has no %s", t->task->vpid, t->vtid,
			cap_list(s, all.prm & ~own->known_caps));
	if (want.bnd & ~own->caps.bnd)
		log_warn(s, "pid %d thread %d: %s cannot be put back into its bounding set",
			t->task->vpid, t->vtid, cap_list(s, want.bnd & ~own->caps.bnd));
	if (own->no_new_privs && !(e->has_no_new_privs && e->no_new_privs))
		log_warn(s,
			"pid %d thread %d: will have no_new_privs set, like the restoring process",
			t->task->vpid, t->vtid);
	return 0;
}

static void plan_capset(struct program *p, const char *what, struct cap_sets caps)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (uint32_t)(caps.eff >> (32 * i)),
			.permitted = (uint32_t)(caps.prm >> (32 * i)),
			.inheritable = (uint32_t)(caps.inh >> (32 * i)),
		};
	program_step(p, what, NULL, SYS_capset, in_copy(p, &header, sizeof(header)),
		in_copy(p, data, sizeof(data)));
}

static void plan_groups(struct program *p, const CredsEntry *e, const struct own_creds *own)
{
	size_t size = e->n_groups * sizeof(*e->groups);
	if (e->n_groups == own->n_groups && (!size || !memcmp(e->groups, own->groups, size)))
		return;
	program_step(p, "set groups", NULL, SYS_setgroups, imm(e->n_groups),
		size ? in(p, e->groups, size) : imm(0));
}

/* Returns whether anything had to be set; then SECBIT_NO_SETUID_FIXUP is on. */
static bool plan_ids(struct program *p, const CredsEntry *e, const struct own_creds *own)
{
	if (e->uid == own->uid[0] && e->euid == own->uid[1] && e->suid == own->uid[2] &&
		e->gid == own->gid[0] && e->egid == own->gid[1] && e->sgid == own->gid[2] &&
		e->fsuid == own->uid[1] && e->fsgid == own->gid[1])
		return false;
	program_step(p, "keep capabilities", NULL, SYS_prctl, imm(PR_SET_SECUREBITS),
		imm(own->securebits | SECBIT_NO_SETUID_FIXUP));
	program_step(
		p, "set group ids", NULL, SYS_setresgid, imm(e->gid), imm(e->egid), imm(e->sgid));
	program_step(
		p, "set user ids", NULL, SYS_setresuid, imm(e->uid), imm(e->euid), imm(e->suid));
	program_step(p, "set filesystem gid", NULL, SYS_setfsgid, imm(e->fsgid));
	program_step(p, "set filesystem uid", NULL, SYS_setfsuid, imm(e->fsuid));
	/* These two return the old value, never an error: ask again. */
	program_expect(p, program_step(p, "verify filesystem gid", NULL, SYS_setfsgid, simm(-1)),
		e->fsgid);
	program_expect(p, program_step(p, "verify filesystem uid", NULL, SYS_setfsuid, simm(-1)),
		e->fsuid);
	return true;
}

static void plan_ambient(struct session *s, struct program *p, uint64_t want, uint64_t have)
{
	if (have & ~want) {
		program_step(p, "clear ambient capabilities", NULL, SYS_prctl, imm(PR_CAP_AMBIENT),
			imm(PR_CAP_AMBIENT_CLEAR_ALL), imm(0), imm(0), imm(0));
		have = 0;
	}
	for (int cap = 0; cap < N_CAPS; cap++)
		if ((want & ~have) & 1ull << cap)
			program_step(p, "raise ambient capability", cap_name(s, cap), SYS_prctl,
				imm(PR_CAP_AMBIENT), imm(PR_CAP_AMBIENT_RAISE), imm((uint64_t)cap),
				imm(0), imm(0));
}

int creds_plan(struct session *s, struct thread *t, struct program *p)
{
	const CredsEntry *e = t->core->thread_core->creds;
	const struct own_creds *own;
	int r = own_creds(s, t->task->tree, &own);
	if (r < 0)
		return r;
	struct cap_sets want = image_caps(e, own->known_caps), have = own->caps;
	plan_groups(p, e, own);
	if (want.inh != have.inh) {
		have.inh = want.inh;
		plan_capset(p, "set inheritable capabilities", have);
	}
	uint32_t securebits = own->securebits;
	if (plan_ids(p, e, own))
		securebits |= SECBIT_NO_SETUID_FIXUP;
	for (int cap = 0; cap < N_CAPS; cap++)
		if ((have.bnd & ~want.bnd) & 1ull << cap)
			program_step(p, "drop from bounding set", cap_name(s, cap), SYS_prctl,
				imm(PR_CAPBSET_DROP), imm((uint64_t)cap), imm(0), imm(0), imm(0));
	plan_ambient(s, p, want.amb, have.amb);
	if (securebits != e->secbits)
		program_step(p, "set securebits", NULL, SYS_prctl, imm(PR_SET_SECUREBITS),
			imm(e->secbits));
	if (want.prm != have.prm || want.eff != have.eff)
		plan_capset(p, "set capabilities", want);
	if (e->has_no_new_privs && e->no_new_privs && !own->no_new_privs)
		program_step(p, "set no_new_privs", NULL, SYS_prctl, imm(PR_SET_NO_NEW_PRIVS),
			imm(1), imm(0), imm(0), imm(0));
	return 0;
}
