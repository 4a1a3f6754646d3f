/*
 * Landlock (landlock(7)): a restricted thread would be free after a restore, so it is refused.
 *
 * No interface tells that a thread is in a domain.  But whatever its rules are, it may not look
 * into processes outside of the domain, which kcmp(2) does; so it tries.  The process it looks at
 * must be one that it could look at otherwise: the controller, if the thread has CAP_SYS_PTRACE,
 * or else a witness, a process with the same user and group and no capability.  The witness has
 * executed a few bytes of code in memory of its own, so there is nothing of ours to be seen in it.
 *
 * What must hold: the controller may change users; otherwise, or where executable memfds are
 * forbidden, a thread without the capability is not asked.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/syscalls.h"
#include "task/aspect.h"
#include "task/landlock.h"

extern const struct aspect landlock_aspect;

#ifndef MFD_EXEC /* 6.3 */
#define MFD_EXEC 0x0010U
#endif

enum { ASK_VERSION = 1 /* LANDLOCK_CREATE_RULESET_VERSION */ };

struct witness {
	uint32_t uid, gid;
	pid_t pid; /* 0: there can be none */
};

struct witnesses {
	bool has_landlock;
	pthread_mutex_t lock;
	VEC(struct witness) all;
};

/* --- the witness --- */

/* Not a part of the function that calls vfork(). */
__attribute__((noinline)) static int make_executable(void)
{
	enum { ADDRESS = 0x400000 };
	struct {
		Elf64_Ehdr file;
		Elf64_Phdr segment;
		uint8_t code[ARCH_IDLE_CODE_MAX];
	} image = {
		.file = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				 EV_CURRENT},
			.e_type = ET_EXEC,
			.e_machine = ARCH_ELF_MACHINE,
			.e_version = EV_CURRENT,
			.e_entry = ADDRESS + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1},
		.segment = {.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = ADDRESS,
			.p_filesz = sizeof(image),
			.p_memsz = sizeof(image),
			.p_align = ARCH_PAGE_SIZE},
	};
	arch_idle_code(image.code);
	_cleanup_close_ int fd = memfd_create("witness", MFD_CLOEXEC | MFD_EXEC);
	if (fd < 0)
		fd = memfd_create("witness", MFD_CLOEXEC);
	if (fd < 0 || write(fd, &image, sizeof(image)) != sizeof(image) || fchmod(fd, 0755) < 0)
		return -errno;
	/* what is open for writing cannot be executed */
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = open(path, O_RDONLY | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* By raw calls: it shares our memory until it executes. Returns only if something failed. */
static void become(uint32_t uid, uint32_t gid, int executable)
{
	static char *const none[] = {NULL};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct no_caps[2] = {0};
	syscall(SYS_prctl, PR_SET_SECUREBITS, SECBIT_NOROOT, 0, 0, 0);
	syscall(SYS_setgroups, 0, NULL);
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 ||
		syscall(SYS_setresuid, uid, uid, uid) < 0 ||
		syscall(SYS_capset, &header, no_caps) < 0)
		return;
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	syscall(SYS_execveat, executable, "", none, none, AT_EMPTY_PATH);
}

static pid_t make_witness(uint32_t uid, uint32_t gid)
{
	_cleanup_close_ int executable = make_executable();
	if (executable < 0)
		return 0;
	int dumpable = prctl(PR_GET_DUMPABLE);
	volatile bool failed = false; /* the child shares it */
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	pid_t pid = vfork();
	if (pid == 0) {
		become(uid, gid, executable);
		failed = true;
		_exit(1);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	prctl(PR_SET_DUMPABLE, dumpable); /* changing users took it from the memory it shared */
	while (pid > 0 && failed && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && !failed ? pid : 0;
}

static pid_t witness_for(struct session *s, struct witnesses *w, uint32_t uid, uint32_t gid)
{
	vec_for_each (&w->all, it)
		if (it->uid == uid && it->gid == gid)
			return it->pid;
	pid_t pid = make_witness(uid, gid);
	if (!pid)
		log_warn(s, "whether landlock restricts tasks of user %u could not be found out",
			uid);
	*vec_push(&s->arena, &w->all) = (struct witness){uid, gid, pid};
	return pid;
}

/* One at a time: while a witness is made, our memory is not dumpable. */
static pid_t share_witness(struct session *s, struct witnesses *w, uint32_t uid, uint32_t gid)
{
	pthread_mutex_lock(&w->lock);
	pid_t pid = witness_for(s, w, uid, gid);
	pthread_mutex_unlock(&w->lock);
	return pid;
}

void landlock_prepare(struct session *s, struct tree *tree)
{
	struct witnesses *w = tree->witnesses = arena_new(&s->arena, struct witnesses);
	pthread_mutex_init(&w->lock, NULL);
	w->has_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION) > 0;
}

void landlock_dismiss(struct tree *tree)
{
	struct witnesses *w = tree->witnesses;
	if (!w)
		return;
	vec_for_each (&w->all, it)
		if (it->pid) {
			kill(it->pid, SIGKILL);
			while (waitpid(it->pid, NULL, 0) < 0 && errno == EINTR)
				;
		}
	w->all.n = 0;
}

/* --- the question --- */

static int landlock_collect(struct session *s, struct thread *t, struct program *p, void **state)
{
	struct witnesses *w = t->task->tree->witnesses;
	int *step = *state = arena_new(&s->arena, int);
	*step = -1;
	if (!w->has_landlock)
		return 0;
	bool sees_us = t->status.cap_eff >> CAP_SYS_PTRACE & 1;
	pid_t whom = sees_us ? getpid() : share_witness(s, w, t->status.uid[0], t->status.gid[0]);
	if (whom)
		*step = program_may_fail(
			p, program_step(p, "look for", "landlock", SYS_kcmp, imm((uint64_t)whom),
				   imm((uint64_t)whom), imm(KCMP_VM), imm(0), imm(0)));
	return 0;
}

static int landlock_store(struct session *s, struct thread *t, const struct program *p, void *state)
{
	const int *step = state;
	if (*step >= 0 && program_result(p, *step) == -EPERM)
		block(s, t->task->vpid, NULL,
			"thread %d: may not look into other processes of its user: landlock "
			"restricts it, or another security module; a restore would not",
			t->vtid);
	return 0;
}

const struct aspect landlock_aspect = {
	.name = "landlock",
	.collect = landlock_collect,
	.store = landlock_store,
};
