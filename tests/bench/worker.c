/* What runs in each benchmarked cgroup: `worker idle` sleeps; `worker busy DIR` keeps the page cache, block I/O and CPU
 * counters moving a little (64 KiB written and read back, 20 times a second). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char block[1 << 16];
    char path[512];
    if (argc < 3 || strcmp(argv[1], "busy"))
        for (;;)
            pause();
    snprintf(path, sizeof path, "%s/%d", argv[2], (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink(path);
    for (off_t at = 0;; at = (at + (off_t)sizeof block) % (1 << 22)) {
        if (pwrite(fd, block, sizeof block, at) < 0 || pread(fd, block, sizeof block, 0) < 0)
            return 1;
        usleep(50000);
    }
}
