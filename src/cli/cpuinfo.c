/* See cpuinfo.h. */
#include "cli/cpuinfo.h"

#include <errno.h>

#include "arch/arch.h"
#include "cli/options.h"
#include "image/codec.h"
#include "image/dir.h"

static int check_against(struct session *s, uint32_t caps)
{
	ProtobufCMessage *m;
	int r = image_read_one(s, IMG_CPUINFO, 0, &m);
	if (r == -ENOENT)
		return fail_remedy(s, r, "it is made by cpuinfo dump, or by dump --cpu-cap",
			"%s has no cpuinfo.img", s->images->path);
	return r < 0 ? r : arch_cpuinfo_check(s, (const CpuinfoEntry *)m, caps);
}

int cpuinfo_dump(struct session *s)
{
	s->exit_status = 255; /* of a failure, as the reference has it */
	return image_write_one(s, IMG_CPUINFO, 0, &arch_cpuinfo(s)->base);
}

int cpuinfo_check(struct session *s)
{
	uint32_t all = CPU_CAP_FPU | CPU_CAP_CPU | CPU_CAP_INS;
	return check_against(s, s->opt->cpu_cap & all ? s->opt->cpu_cap : all);
}

int cpuinfo_dump_if_asked(struct session *s)
{
	return s->opt->cpu_cap & CPU_CAP_IMAGE
		       ? image_write_one(s, IMG_CPUINFO, 0, &arch_cpuinfo(s)->base)
		       : 0;
}

int cpuinfo_check_if_asked(struct session *s)
{
	return s->opt->cpu_cap & CPU_CAP_IMAGE ? check_against(s, s->opt->cpu_cap) : 0;
}
