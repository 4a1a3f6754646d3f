/*
 * Figures of a finished run.  Fields the reference always writes are written, also where a figure
 * has no meaning here (page pipes), since readers of the file may print them unconditionally.
 */
#include "image/stats.h"

#include <fcntl.h>

#include "image/codec.h"
#include "stats.pb-c.h"

static int write_stats(struct session *s, enum image_type type, const StatsEntry *stats)
{
	const struct image_dir work_dir = {.fd = AT_FDCWD, .path = "."};
	return image_write_one_at(s, &work_dir, type, 0, &stats->base);
}

int stats_write_dump(struct session *s)
{
	const struct run_stats *run = &s->stats;
	DumpStatsEntry dump = DUMP_STATS_ENTRY__INIT;
	dump.freezing_time = run->freezing_us;
	dump.frozen_time = run->frozen_us;
	dump.memdump_time = run->memdump_us;
	dump.memwrite_time = run->memwrite_us;
	dump.pages_scanned = run->pages_scanned;
	dump.pages_skipped_parent = run->pages_skipped_parent;
	dump.pages_written = run->pages_written;
	dump.pages_lazy = run->pages_lazy;
	dump.has_irmap_resolve = true;
	dump.has_page_pipes = true;
	dump.has_page_pipe_bufs = true;
	dump.has_shpages_scanned = true;
	dump.shpages_scanned = run->shpages_scanned;
	dump.has_shpages_skipped_parent = true;
	dump.shpages_skipped_parent = run->shpages_skipped_parent;
	dump.has_shpages_written = true;
	dump.shpages_written = run->shpages_written;
	StatsEntry stats = STATS_ENTRY__INIT;
	stats.dump = &dump;
	return write_stats(s, IMG_STATS_DUMP, &stats);
}

int stats_write_restore(struct session *s)
{
	const struct run_stats *run = &s->stats;
	RestoreStatsEntry restore = RESTORE_STATS_ENTRY__INIT;
	restore.pages_compared = run->pages_compared;
	restore.pages_skipped_cow = run->pages_skipped_cow;
	restore.forking_time = run->forking_us;
	restore.restore_time = run->restore_us;
	restore.has_pages_restored = true;
	restore.pages_restored = run->pages_restored;
	StatsEntry stats = STATS_ENTRY__INIT;
	stats.restore = &restore;
	return write_stats(s, IMG_STATS_RESTORE, &stats);
}
