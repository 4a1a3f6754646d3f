/*
 * Mappings that a dump must not pretend to have taken (spec/images-process.md 14).
 *
 * Some of these the reference loses without a word: seals, protection keys, userfaultfd.  A task
 * that relies on them would misbehave after a restore, so they are obstacles here.
 */
#include "mem/vma_dump.h"

#include <fnmatch.h>
#include <string.h>

#include "cli/options.h"
#include "plugin/plugin.h"

/* By VmFlags word. */
static const struct {
	uint64_t vmflag;
	const char *text, *remedy;
} refused_flags[] = {
	{VMF(UM) | VMF(UW) | VMF(UI), "is registered with userfaultfd, which is not supported yet",
		"have the program unregister it before the dump"},
	{VMF(SS), "is a shadow stack, which is not supported yet",
		"start the program without GLIBC_TUNABLES=glibc.cpu.x86_shstk"},
	{VMF(MT), "uses memory tagging, which is not supported yet", NULL},
};

/* By name, of mappings with a file. */
static const struct {
	const char *pattern; /* fnmatch(3) */
	const char *text, *remedy;
	bool plugin; /* one may know it */
} refused_names[] = {
	{"anon_inode:\\[perf_event]*", "is a buffer of perf events, which is not supported", NULL,
		.plugin = true},
	{"anon_inode:*", "is of a kind that is not supported", NULL, .plugin = true},
	{"socket:\\[*", "is a private mapping of a packet socket's ring, which is not supported", NULL},
	{"/dmabuf:*", "is a DMA buffer, which is not supported", NULL, .plugin = true},
	{"/secretmem (deleted)",
		"is memfd_secret(2) memory, which only the program itself can read", NULL},
	{"/SYSV[0-9a-f]??????? (deleted)",
		"is a private mapping of System V shared memory, which is not supported", NULL},
};

static const struct {
	uint64_t vmflag;
	const char *text;
} lost_flags[] = {
	{VMF(SF), "MAP_SYNC"},
	{VMF(BT), "BTI protection"},
};

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

const char *vma_refused_kind(size_t i, const char **ret_remedy)
{
	size_t n = N_ELEMENTS(refused_flags);
	if (i < n) {
		*ret_remedy = refused_flags[i].remedy;
		return refused_flags[i].text;
	}
	if (i - n >= N_ELEMENTS(refused_names))
		return NULL;
	*ret_remedy = refused_names[i - n].remedy;
	return refused_names[i - n].text;
}

static void refuse(struct session *s, const struct task *t, const struct vma_info *info,
	const char *remedy, const char *text)
{
	block(s, t->pid, remedy, "mapping %llx-%llx (%s) %s", (unsigned long long)info->start,
		(unsigned long long)info->end, *info->name ? info->name : "anonymous", text);
}

/* Plugins are asked later, by vma_plugin.c, which refuses it if none knows the mapping. */
static bool leave_to_plugins(struct session *s, VmaEntry *e)
{
	if (e->status & VMA_EXT_PLUGIN || !plugins_have(s, CR_PLUGIN_HOOK__HANDLE_DEVICE_VMA))
		return false;
	e->status |= VMA_EXT_PLUGIN;
	return true;
}

/* Seals come before the rings are put into their places, and the kernel's own do not move then. */
static bool refuse_sealed(
	struct session *s, const struct task *t, const struct vma_info *info, const VmaEntry *e)
{
	const uint32_t special = VMA_VDSO | VMA_VVAR | VMA_AIORING | VMA_IO_URING | VMA_SOCKET;
	if (!(info->vmflags & VMF(SL)) || !(e->status & special))
		return false;
	refuse(s, t, info, NULL, "is sealed with mseal(2), which is not supported for rings and vDSO");
	return true;
}

static bool refuse_by_name(
	struct session *s, const struct task *t, const struct vma_info *info, VmaEntry *e)
{
	for (size_t i = 0; i < N_ELEMENTS(refused_names); i++) {
		if (fnmatch(refused_names[i].pattern, info->name, 0) != 0)
			continue;
		if (refused_names[i].plugin && leave_to_plugins(s, e))
			return false;
		refuse(s, t, info, refused_names[i].remedy, refused_names[i].text);
		return true;
	}
	return false;
}

/* Names that can be on the list at all; asked for every file mapping, so it is cheap. */
static bool is_odd_name(const char *name)
{
	return *name != '/' || strchr("[dsS", name[1]);
}

static bool refuse_by_flags(struct session *s, const struct task *t, const struct vma_info *info)
{
	bool refused = false;
	for (size_t i = 0; i < N_ELEMENTS(refused_flags); i++) {
		if (!(info->vmflags & refused_flags[i].vmflag))
			continue;
		refuse(s, t, info, refused_flags[i].remedy, refused_flags[i].text);
		refused = true;
	}
	/* execute-only memory gets a key from the kernel, and will get one again */
	if (info->protection_key && info->prot != PROT_EXEC) {
		refuse(s, t, info, NULL,
			arena_printf(&s->arena,
				"has protection key %d (pkey_mprotect), which is not "
				"supported yet",
				info->protection_key));
		refused = true;
	}
	return refused;
}

static bool refuse_device_memory(
	struct session *s, const struct task *t, const struct vma_info *info, VmaEntry *e)
{
	if (!(info->vmflags & (VMF(IO) | VMF(PF))) || e->status & (VMA_VVAR | VMA_FILE_SHARED))
		return false;
	if (e->status & VMA_FILE_PRIVATE && leave_to_plugins(s, e))
		return false;
	refuse(s, t, info, "the program must unmap it before the dump",
		"is device memory, which is not supported");
	return true;
}

static void warn_about_losses(struct session *s, const struct task *t, const struct vma_info *info)
{
	for (size_t i = 0; i < N_ELEMENTS(lost_flags); i++)
		if (info->vmflags & lost_flags[i].vmflag)
			log_warn(s, "pid %d: mapping %llx-%llx (%s) will lose %s", t->pid,
				(unsigned long long)info->start, (unsigned long long)info->end,
				info->name, lost_flags[i].text);
}

bool vma_refuse(
	struct session *s, const struct task *t, const struct vma_info *info, VmaEntry *e)
{
	if (!strcmp(info->name, "[uprobes]")) {
		if (s->opt && s->opt->allow_uprobes)
			return false;
		refuse(s, t, info, "use --allow-uprobes, or remove the probes",
			"means that somebody traces its functions");
		return true;
	}
	if (refuse_sealed(s, t, info, e))
		return true;
	if (e->status & (VMA_IO_URING | VMA_SOCKET))
		return false;
	const uint32_t file = VMA_FILE_PRIVATE | VMA_FILE_SHARED;
	bool refused = e->status & file && is_odd_name(info->name) && refuse_by_name(s, t, info, e);
	refused |= refuse_by_flags(s, t, info);
	refused |= !refused && refuse_device_memory(s, t, info, e);
	if (!refused)
		warn_about_losses(s, t, info);
	return refused;
}

void vma_refuse_device(struct session *s, const struct task *t, const struct vma_info *info)
{
	refuse(s, t, info, "the program must unmap it before the dump",
		"is memory of a device, which is not supported");
}

void vma_refuse_protected(struct session *s, const struct task *t, const struct vma_info *info)
{
	refuse(s, t, info, arena_printf(&s->arena, "run chattr -i -a '%s'", info->name),
		"is of a file opened for writing that is immutable or append-only by now");
}
