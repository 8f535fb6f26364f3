/* The floor: the six files of a reading, read by a program that does nothing else.
 *
 *   floor LIST ROUNDS PAUSE_USEC
 *
 * LIST has a line per container: five cgroup files (cpu usage, memory usage, memory.stat, limit, block I/O) and a
 * /proc/<pid>/net/dev, separated by blanks. The cgroup files are kept open and read again from 0; net/dev is opened each
 * time, since kept open it would pin the namespace of a dead container. A file called - is left out; files for
 * which there is no descriptor left are opened each time, too, and their number is said. Prints one line a round: CPU
 * nanoseconds of the round (CLOCK_PROCESS_CPUTIME_ID) and wall nanoseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 5, MOST = 20000, SPARE = 16 };
static int fds[MOST][FILES];
static char *paths[MOST][FILES]; /* of those that are not kept open */
static char net[MOST][64];
static char buffer[1 << 16];

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t number_after(const char *key)
{
    const char *found = strstr(buffer, key);
    return found ? strtoull(found + strlen(key), 0, 10) : 0;
}

static uint64_t read_one(int i)
{
    uint64_t sum = 0;
    for (int k = 0; k < FILES; k++) {
        int kept = fds[i][k], fd = paths[i][k] ? open(paths[i][k], O_RDONLY | O_CLOEXEC) : kept;
        if (fd < 0)
            continue;
        ssize_t length = pread(fd, buffer, sizeof buffer - 1, 0);
        if (kept < 0)
            close(fd);
        buffer[length > 0 ? length : 0] = 0;
        sum += k == 2 ? number_after("inactive_file ") : strtoull(buffer, 0, 10) + number_after("rbytes=");
    }
    int fd = open(net[i], O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, buffer, sizeof buffer - 1);
    close(fd);
    buffer[length > 0 ? length : 0] = 0;
    for (char *line = strchr(buffer, '\n'); line && (line = strchr(line + 1, '\n'));) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(colon - 2, "lo", 2))
            sum += strtoull(colon + 1, 0, 10);
    }
    return sum;
}

int main(int argc, char **argv)
{
    char path[FILES + 1][512];
    int count = 0, spare[SPARE], opened = 0;
    uint64_t sum = 0;
    FILE *list = argc == 4 ? fopen(argv[1], "r") : 0;
    struct rlimit limit = {FILES * MOST + 64, FILES * MOST + 64};
    setrlimit(RLIMIT_NOFILE, &limit); /* as root; otherwise what there is has to do */
    if (!list)
        return fprintf(stderr, "usage: floor LIST ROUNDS PAUSE_USEC\n"), 2;
    for (int n = 0; n < SPARE; n++)
        spare[n] = dup(2); /* so that some are left for what is opened each time */
    while (count < MOST && fscanf(list, "%511s %511s %511s %511s %511s %511s", path[0], path[1], path[2], path[3],
                                  path[4], path[5]) == 6) {
        for (int k = 0; k < FILES; k++) {
            fds[count][k] = open(path[k], O_RDONLY | O_CLOEXEC);
            if (fds[count][k] >= 0 || !strcmp(path[k], "-"))
                continue;
            if (errno != EMFILE)
                return perror(path[k]), 1;
            paths[count][k] = strdup(path[k]);
            opened++;
        }
        snprintf(net[count++], sizeof net[0], "%.63s", path[FILES]);
    }
    fclose(list);
    for (int n = 0; n < SPARE; n++)
        close(spare[n]);
    for (int round = 0; round < atoi(argv[2]); round++) {
        if (atoi(argv[3]))
            usleep((useconds_t)atoi(argv[3]));
        uint64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
        for (int i = 0; i < count; i++)
            sum += read_one(i);
        printf("%llu %llu\n", (unsigned long long)(now(CLOCK_PROCESS_CPUTIME_ID) - cpu),
               (unsigned long long)(now(CLOCK_MONOTONIC) - wall));
    }
    fprintf(stderr, "%d containers, %d files not kept open, checksum %llu\n", count, opened, (unsigned long long)sum);
    return 0;
}
