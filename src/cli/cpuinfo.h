/* cpuinfo.img: what the processor of the dump could do (spec/cli.md 4.10). */
#ifndef FERMATA_CLI_CPUINFO_H
#define FERMATA_CLI_CPUINFO_H

struct session;

/* The verbs. */
int cpuinfo_dump(struct session *s);
int cpuinfo_check(struct session *s);

/* As part of a dump or restore: nothing unless --cpu-cap asks for the image. */
int cpuinfo_dump_if_asked(struct session *s);
int cpuinfo_check_if_asked(struct session *s);

#endif
