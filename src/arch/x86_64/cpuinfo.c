/*
 * What this processor can do, as cpuinfo.img holds it, and whether it can do what another could.
 *
 * The image's words are CPUID registers, in the order of the table here.  Three of the nineteen are
 * Linux's own inventions and two belong to makes that are no more: those stay zero.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/xstate.h"
#include "cli/options.h"
#include "cpuinfo.pb-c.h"

enum reg { EAX, EBX, ECX, EDX };
enum { N_WORDS = 19, CAPABILITY_VERSION = 2, FAMILY_EXTENDED = 15 };

static const struct word {
	uint32_t leaf, subleaf;
	enum reg reg;
	const char *names; /* of bits 0 and up, blank between; - for one that says nothing of use */
} words[N_WORDS] = {
	[0] = {1, 0, EDX,
		"fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn "
		"clflush - "
		"dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
	[1] = {0x80000001, 0, EDX,
		"- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb "
		"rdtscp "
		"- lm 3dnowext 3dnow"},
	[4] = {1, 0, ECX,
		"pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr "
		"pdcm - "
		"pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave osxsave "
		"avx "
		"f16c rdrand hypervisor"},
	[6] = {0x80000001, 0, ECX,
		"lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch "
		"osvw ibs "
		"xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb "
		"- bpext "
		"ptsc perfctr_llc mwaitx"},
	[9] = {7, 0, EBX,
		"fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx "
		"rdt_a "
		"avx512f avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf "
		"avx512er avx512cd sha_ni avx512bw avx512vl"},
	[10] = {0xd, 1, EAX, "xsaveopt xsavec xgetbv1 xsaves"},
	[11] = {7, 0, ECX,
		"- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 shstk gfni vaes vpclmulqdq "
		"avx512_vnni "
		"avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect "
		"cldemote - "
		"movdiri movdir64b enqcmd"},
	[12] = {0xf, 1, EDX, ""},
	[13] = {0x80000008, 0, EBX, "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd"},
	[14] = {6, 0, EAX, ""},
	[15] = {0x8000000a, 0, EDX, ""},
	[16] = {0xf, 0, EDX, ""},
	[17] = {0x80000007, 0, EBX, ""},
	[18] = {7, 0, EDX,
		"- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - "
		"serialize - tsxldtrk - - arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8"},
};

/* How instructions of a program depend on a word; the others tell of what kernels do. */
static bool is_of_instructions(size_t i)
{
	return words[i].names && words[i].names[0];
}

static uint32_t read_word(const struct word *w)
{
	uint32_t r[4] = {0};
	if (!w->leaf || (uint32_t)__get_cpuid_max(w->leaf & 0xffff0000, NULL) < w->leaf)
		return 0;
	__cpuid_count(w->leaf, w->subleaf, r[EAX], r[EBX], r[ECX], r[EDX]);
	return r[w->reg];
}

static CpuinfoX86Entry__Vendor read_vendor(void)
{
	uint32_t a, b, c, d;
	char name[12];
	__cpuid(0, a, b, c, d);
	memcpy(name, &b, 4);
	memcpy(name + 4, &d, 4);
	memcpy(name + 8, &c, 4);
	if (memcmp(name, "GenuineIntel", 12) == 0)
		return CPUINFO_X86_ENTRY__VENDOR__INTEL;
	return memcmp(name, "AuthenticAMD", 12) == 0 ? CPUINFO_X86_ENTRY__VENDOR__AMD
						     : CPUINFO_X86_ENTRY__VENDOR__UNKNOWN;
}

static void read_model(struct session *s, CpuinfoX86Entry *e)
{
	uint32_t a, b, c, d, text[13] = {0};
	__cpuid(1, a, b, c, d);
	e->cpu_family = (a >> 8) & 15;
	e->model = (a >> 4) & 15;
	e->stepping = a & 15;
	if (e->cpu_family >= 6)
		e->model |= (a >> 12) & 0xf0;
	if (e->cpu_family == FAMILY_EXTENDED)
		e->cpu_family += (a >> 20) & 0xff;
	uint32_t highest = (uint32_t)__get_cpuid_max(0x80000000, NULL);
	for (uint32_t i = 0; i < 3 && highest >= 0x80000004; i++) {
		uint32_t *part = text + (size_t)4 * i;
		__cpuid(0x80000002 + i, part[0], part[1], part[2], part[3]);
	}
	e->model_id = arena_strdup(&s->arena, (char *)text);
}

static CpuinfoX86Entry *read_entry(struct session *s)
{
	CpuinfoX86Entry *e = arena_new(&s->arena, CpuinfoX86Entry);
	cpuinfo_x86_entry__init(e);
	e->vendor_id = read_vendor();
	read_model(s, e);
	e->capability_ver = CAPABILITY_VERSION;
	e->n_capability = N_WORDS;
	e->capability = arena_array(&s->arena, uint32_t, N_WORDS);
	for (size_t i = 0; i < N_WORDS; i++)
		e->capability[i] = read_word(&words[i]);
	const struct xstate_layout *layout = xstate_layout(s);
	uint32_t a, b, c, d;
	__cpuid_count(0xd, 0, a, b, c, d);
	e->has_xfeatures_mask = e->has_xsave_size = e->has_xsave_size_max = true;
	e->xfeatures_mask = layout->enabled;
	e->xsave_size = layout->len;
	e->xsave_size_max = c;
	return e;
}

CpuinfoEntry *arch_cpuinfo(struct session *s)
{
	CpuinfoEntry *e = arena_new(&s->arena, CpuinfoEntry);
	cpuinfo_entry__init(e);
	e->n_x86_entry = 1;
	e->x86_entry = arena_new(&s->arena, CpuinfoX86Entry *);
	e->x86_entry[0] = read_entry(s);
	return e;
}

/* The name of a bit, or its place. */
static const char *bit_name(struct session *s, size_t i, unsigned bit)
{
	const char *name = words[i].names ? words[i].names : "";
	for (unsigned n = 0; n < bit && *name; n++)
		name += strcspn(name, " ") + (strchr(name, ' ') != NULL);
	size_t len = strcspn(name, " ");
	if (len && *name != '-')
		return arena_printf(&s->arena, "%.*s", (int)len, name);
	return arena_printf(&s->arena, "bit %u of CPUID word %zu", bit, i);
}

/* Names of the bits set in missing; "" if there is none. */
static const char *list_bits(struct session *s, size_t i, uint32_t missing, const char *so_far)
{
	for (unsigned bit = 0; bit < 32; bit++)
		if (missing & 1u << bit)
			so_far = arena_printf(&s->arena, "%s%s%s", so_far, *so_far ? ", " : "",
				bit_name(s, i, bit));
	return so_far;
}

/* What the other has and this one lacks, or with exact what differs at all. */
static const char *compare_words(
	struct session *s, const CpuinfoX86Entry *there, const CpuinfoX86Entry *here, bool exact)
{
	const char *missing = "";
	for (size_t i = 0; i < there->n_capability && i < N_WORDS; i++) {
		uint32_t differ = exact ? there->capability[i] ^ here->capability[i]
					: there->capability[i] & ~here->capability[i];
		/* Bits that a kernel sets for itself, and words only it looks at. */
		if (!words[i].leaf || (!exact && !is_of_instructions(i)))
			continue;
		missing = list_bits(s, i, differ, missing);
	}
	return missing;
}

static int check_fpu(struct session *s, const CpuinfoX86Entry *there, const CpuinfoX86Entry *here)
{
	uint64_t missing = there->xfeatures_mask & ~here->xfeatures_mask;
	if (missing)
		return fail(s, ENOTSUP,
			"the images were made with extended state components %#jx, which this "
			"processor or kernel lacks",
			(uintmax_t)missing);
	if (there->has_xsave_size && there->xsave_size > here->xsave_size)
		return fail(s, ENOTSUP, "the images' FPU state has %u bytes, here it has %u",
			there->xsave_size, here->xsave_size);
	return 0;
}

int arch_cpuinfo_check(struct session *s, const CpuinfoEntry *image, uint32_t caps)
{
	if (!image->n_x86_entry)
		return fail(s, ENOTSUP, "cpuinfo.img is of another kind of processor");
	const CpuinfoX86Entry *there = image->x86_entry[0], *here = read_entry(s);
	if (caps & CPU_CAP_FPU) {
		int r = check_fpu(s, there, here);
		if (r < 0)
			return r;
	}
	const char *missing = "";
	if (caps & CPU_CAP_CPU)
		missing = compare_words(s, there, here, /* exact= */ true);
	else if (caps & CPU_CAP_INS)
		missing = compare_words(s, there, here, /* exact= */ false);
	if (!*missing)
		return 0;
	return fail_remedy(s, ENOTSUP,
		caps & CPU_CAP_CPU ? "use --cpu-cap=ins if programs need no more than that"
				   : "use --cpu-cap=none if the programs do without",
		"this processor %s what the images come from (%s): %s",
		caps & CPU_CAP_CPU ? "differs from" : "lacks features of",
		there->model_id ? there->model_id : "unknown", missing);
}
