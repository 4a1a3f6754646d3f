/*
 * Registers in core images: thread_info_x86 (spec/images-process.md 5.1 to 5.4).
 *
 * The image names each part of the extended state by an array; an array is there if the
 * processor of the dump had the feature, and counts if its bit is set in xstate_bv.
 */
#include "arch/arch.h"

#include <elf.h>
#include <errno.h>
#include <asm/ldt.h>
#include <string.h>
#include <sys/ptrace.h>

#include "arch/x86_64/xstate.h"

enum {
	USER_CS = 0x33,
	TLS_FIRST = 12,
	TLS_COUNT = 3,
	ST_WORDS = 32,
	XMM_WORDS = 64,
};

/* Parts of the extended state outside the legacy area, and the image array that holds each. */
struct part {
	enum xstate_feature feature;
	const char *name;
	size_t n_offset, array_offset; /* in UserX86XsaveEntry */
	size_t elem_size, n_elems;
};

#define PART(feature_, name_, field, elem, n)                                                      \
	{                                                                                          \
		.feature = (feature_), .name = (name_),                                            \
		.n_offset = offsetof(UserX86XsaveEntry, n_##field),                                \
		.array_offset = offsetof(UserX86XsaveEntry, field), .elem_size = sizeof(elem),     \
		.n_elems = (n),                                                                    \
	}

static const struct part parts[] = {
	PART(XSTATE_YMM, "AVX", ymmh_space, uint32_t, 64),
	PART(XSTATE_BNDREGS, "MPX", bndreg_state, uint64_t, 8),
	PART(XSTATE_BNDCSR, "MPX", bndcsr_state, uint64_t, 8),
	PART(XSTATE_OPMASK, "AVX-512", opmask_reg, uint64_t, 8),
	PART(XSTATE_ZMM_HI256, "AVX-512", zmm_upper, uint64_t, 64),
	PART(XSTATE_HI16_ZMM, "AVX-512", hi16_zmm, uint64_t, 128),
	PART(XSTATE_PKRU, "PKU", pkru, uint32_t, 2),
};

enum { N_PARTS = sizeof(parts) / sizeof(parts[0]) };

uint32_t arch_core_mtype(void)
{
	return CORE_ENTRY__MARCH__X86_64;
}

void arch_core_set_tid_address(CoreEntry *core, uint64_t clear_tid_addr)
{
	core->thread_info->clear_tid_addr = clear_tid_addr;
}

uint64_t arch_core_tid_address(const CoreEntry *core)
{
	return core->thread_info->clear_tid_addr;
}

/* Image fields and ptrace fields differ in names only; one list serves both directions. */
#define EACH_REGISTER(X)                                                                           \
	X(r15, r15) X(r14, r14) X(r13, r13) X(r12, r12) X(bp, rbp) X(bx, rbx) X(r11, r11)          \
	X(r10, r10) X(r9, r9) X(r8, r8) X(ax, rax) X(cx, rcx) X(dx, rdx) X(si, rsi) X(di, rdi)     \
	X(orig_ax, orig_rax) X(ip, rip) X(cs, cs) X(flags, eflags) X(sp, rsp) X(ss, ss)            \
	X(fs_base, fs_base) X(gs_base, gs_base) X(ds, ds) X(es, es) X(fs, fs) X(gs, gs)

static UserX86RegsEntry *store_gp(struct session *s, const struct user_regs_struct *gp)
{
	UserX86RegsEntry *e = arena_new(&s->arena, UserX86RegsEntry);
	user_x86_regs_entry__init(e);
#define STORE(image, live) e->image = gp->live;
	EACH_REGISTER(STORE)
#undef STORE
	e->has_mode = 1;
	e->mode = USER_X86_REGS_MODE__NATIVE;
	return e;
}

static void load_gp(const UserX86RegsEntry *e, struct user_regs_struct *gp)
{
#define LOAD(image, live) gp->live = e->image;
	EACH_REGISTER(LOAD)
#undef LOAD
}

static UserX86XsaveEntry *store_xsave(struct session *s, uint8_t *xstate, uint64_t xstate_bv)
{
	UserX86XsaveEntry *e = arena_new(&s->arena, UserX86XsaveEntry);
	user_x86_xsave_entry__init(e);
	e->xstate_bv = xstate_bv;
	const struct xstate_layout *layout = xstate_layout(s);
	for (int i = 0; i < N_PARTS; i++) {
		const struct part *part = &parts[i];
		if (!(layout->enabled & 1ull << part->feature))
			continue;
		void *array = xstate + layout->area[part->feature].offset;
		memcpy((char *)e + part->n_offset, &part->n_elems, sizeof(size_t));
		memcpy((char *)e + part->array_offset, &array, sizeof(array));
	}
	return e;
}

/* The arrays of the message are those of xstate itself. */
static UserX86FpregsEntry *store_fp(struct session *s, uint8_t *xstate, uint64_t xstate_bv)
{
	struct user_fpregs_struct legacy;
	memcpy(&legacy, xstate, sizeof(legacy));
	UserX86FpregsEntry *e = arena_new(&s->arena, UserX86FpregsEntry);
	user_x86_fpregs_entry__init(e);
	e->cwd = legacy.cwd;
	e->swd = legacy.swd;
	e->twd = legacy.ftw;
	e->fop = legacy.fop;
	e->rip = legacy.rip;
	e->rdp = legacy.rdp;
	e->mxcsr = legacy.mxcsr;
	e->mxcsr_mask = legacy.mxcr_mask;
	e->n_st_space = ST_WORDS;
	e->st_space = (void *)(xstate + offsetof(struct user_fpregs_struct, st_space));
	e->n_xmm_space = XMM_WORDS;
	e->xmm_space = (void *)(xstate + offsetof(struct user_fpregs_struct, xmm_space));
	e->xsave = store_xsave(s, xstate, xstate_bv);
	return e;
}

/* GDT entries set by set_thread_area(); EIO without 32-bit support in the kernel. */
static void store_tls(struct session *s, ThreadInfoX86 *info, pid_t tid)
{
	info->n_tls = TLS_COUNT;
	info->tls = arena_array(&s->arena, UserDescT *, TLS_COUNT);
	for (uint32_t i = 0; i < TLS_COUNT; i++) {
		struct user_desc d;
		UserDescT *e = info->tls[i] = arena_new(&s->arena, UserDescT);
		user_desc_t__init(e);
		e->entry_number = TLS_FIRST + i;
		if (ptrace(PTRACE_GET_THREAD_AREA, tid, TLS_FIRST + i, &d) < 0)
			continue;
		e->base_addr = d.base_addr;
		e->limit = d.limit;
		e->seg_32bit = d.seg_32bit;
		e->contents_h = d.contents >> 1;
		e->contents_l = d.contents & 1;
		e->read_exec_only = d.read_exec_only;
		e->limit_in_pages = d.limit_in_pages;
		e->seg_not_present = d.seg_not_present;
		e->usable = d.useable;
	}
}

int arch_core_store(struct session *s, CoreEntry *core, pid_t tid, const struct arch_regs *regs)
{
	if (regs->gp.cs != USER_CS)
		return fail(s, EOPNOTSUPP, "thread %d runs in code segment 0x%llx (only 0x%x, 64-bit code, can be dumped)",
			tid, (unsigned long long)regs->gp.cs, USER_CS);
	uint64_t xstate_bv;
	memcpy(&xstate_bv, regs->xstate + XSTATE_LEGACY_LEN, sizeof(xstate_bv));
	if (xstate_bv & (1ull << XSTATE_TILECFG | 1ull << XSTATE_TILEDATA))
		return fail(s, EOPNOTSUPP, "thread %d uses AMX tiles, which images cannot hold", tid);
	ThreadInfoX86 *info = arena_new(&s->arena, ThreadInfoX86);
	thread_info_x86__init(info);
	info->gpregs = store_gp(s, &regs->gp);
	info->fpregs = store_fp(s, regs->xstate, xstate_bv);
	store_tls(s, info, tid);
	core->thread_info = info;
	return 0;
}

static int load_part(struct session *s, const struct part *part, const UserX86XsaveEntry *e,
	struct arch_regs *regs)
{
	size_t n;
	const void *array;
	memcpy(&n, (const char *)e + part->n_offset, sizeof(n));
	memcpy(&array, (const char *)e + part->array_offset, sizeof(array));
	if (!(e->xstate_bv & 1ull << part->feature) || !n)
		return 0;
	const struct xstate_layout *layout = xstate_layout(s);
	struct xstate_area area = layout->area[part->feature];
	size_t len = part->elem_size * part->n_elems;
	if (!(layout->enabled & 1ull << part->feature))
		return fail(s, EOPNOTSUPP, "the image uses %s registers, which this processor lacks",
			part->name);
	if (n < part->n_elems || area.len < len)
		return fail(s, EINVAL, "the image holds %zu words of %s state instead of %zu", n,
			part->name, part->n_elems);
	memcpy(regs->xstate + area.offset, array, len);
	uint64_t bv;
	memcpy(&bv, regs->xstate + XSTATE_LEGACY_LEN, sizeof(bv));
	bv |= 1ull << part->feature;
	memcpy(regs->xstate + XSTATE_LEGACY_LEN, &bv, sizeof(bv));
	return 0;
}

static int load_fp(struct session *s, const UserX86FpregsEntry *e, struct arch_regs *regs)
{
	struct user_fpregs_struct legacy = {
		.cwd = (uint16_t)e->cwd,
		.swd = (uint16_t)e->swd,
		.ftw = (uint16_t)e->twd,
		.fop = (uint16_t)e->fop,
		.rip = e->rip,
		.rdp = e->rdp,
		.mxcsr = e->mxcsr,
		.mxcr_mask = e->mxcsr_mask,
	};
	if (e->n_st_space < ST_WORDS || e->n_xmm_space < XMM_WORDS)
		return fail(s, EINVAL, "the image holds too few FPU registers");
	memcpy(legacy.st_space, e->st_space, sizeof(legacy.st_space));
	memcpy(legacy.xmm_space, e->xmm_space, sizeof(legacy.xmm_space));
	regs->xstate_len = xstate_layout(s)->len;
	regs->xstate = arena_alloc(&s->arena, regs->xstate_len);
	memcpy(regs->xstate, &legacy, 416);
	uint64_t bv = 3; /* x87 and SSE always count */
	memcpy(regs->xstate + XSTATE_LEGACY_LEN, &bv, sizeof(bv));
	if (!e->xsave)
		return 0;
	int r = 0;
	for (int i = 0; i < N_PARTS && r >= 0; i++)
		r = load_part(s, &parts[i], e->xsave, regs);
	return r;
}

int arch_core_load(struct session *s, const CoreEntry *core, struct arch_regs *ret_regs)
{
	const ThreadInfoX86 *info = core->thread_info;
	if (core->mtype != CORE_ENTRY__MARCH__X86_64)
		return fail(s, EOPNOTSUPP, "the core image is of another architecture (%d)",
			(int)core->mtype);
	if (!info)
		return fail(s, EBADMSG, "the core image has no registers");
	if (info->gpregs->has_mode && info->gpregs->mode != USER_X86_REGS_MODE__NATIVE)
		return fail(s, EOPNOTSUPP, "the core image is of a 32-bit task, which is not supported yet");
	if (info->fpregs->xsave && info->fpregs->xsave->cet && info->fpregs->xsave->cet->cet)
		return fail(s, EOPNOTSUPP, "the core image uses a shadow stack, which is not supported yet");
	for (size_t i = 0; i < info->n_tls; i++)
		if (!info->tls[i]->seg_not_present)
			return fail(s, EOPNOTSUPP,
				"the core image uses set_thread_area(), which is not supported yet");
	load_gp(info->gpregs, &ret_regs->gp);
	return load_fp(s, info->fpregs, ret_regs);
}
