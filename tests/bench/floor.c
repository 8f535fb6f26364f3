/* The floor: the six files of a reading, read by a program that does nothing else.
 *
 *   floor LIST ROUNDS PAUSE_USEC
 *
 * LIST has a line per container: five cgroup files (cpu usage, memory usage, memory.stat, limit, block I/O) and a
 * /proc/<pid>/net/dev, separated by blanks. The cgroup files are kept open and read again from 0; net/dev is opened each
 * time, since kept open it would pin the namespace of a dead container. Prints one line a round: CPU nanoseconds of the
 * round (CLOCK_PROCESS_CPUTIME_ID) and wall nanoseconds.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 5, MOST = 20000 };
static int fds[MOST][FILES];
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
        ssize_t length = pread(fds[i][k], buffer, sizeof buffer - 1, 0);
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
    int count = 0;
    uint64_t sum = 0;
    FILE *list = argc == 4 ? fopen(argv[1], "r") : 0;
    if (!list)
        return fprintf(stderr, "usage: floor LIST ROUNDS PAUSE_USEC\n"), 2;
    while (count < MOST && fscanf(list, "%511s %511s %511s %511s %511s %511s", path[0], path[1], path[2], path[3],
                                  path[4], path[5]) == 6) {
        for (int k = 0; k < FILES; k++)
            if ((fds[count][k] = open(path[k], O_RDONLY | O_CLOEXEC)) < 0)
                return perror(path[k]), 1;
        snprintf(net[count++], sizeof net[0], "%s", path[FILES]);
    }
    fclose(list);
    for (int round = 0; round < atoi(argv[2]); round++) {
        if (atoi(argv[3]))
            usleep((useconds_t)atoi(argv[3]));
        uint64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID), wall = now(CLOCK_MONOTONIC);
        for (int i = 0; i < count; i++)
            sum += read_one(i);
        printf("%llu %llu\n", (unsigned long long)(now(CLOCK_PROCESS_CPUTIME_ID) - cpu),
               (unsigned long long)(now(CLOCK_MONOTONIC) - wall));
    }
    fprintf(stderr, "%d containers, checksum %llu\n", count, (unsigned long long)sum);
    return 0;
}
