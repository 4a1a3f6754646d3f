/* BPF maps: what the restore as a whole does about them. Internal to src/file. */
#ifndef FERMATA_FILE_BPF_MAP_H
#define FERMATA_FILE_BPF_MAP_H

struct file_set;

/* After all files are checked: bpfmap-data.img. */
int bpf_map_load(struct file_set *f);
/* Closes what the restore kept of them. */
void bpf_map_release(struct file_set *f);

#endif
