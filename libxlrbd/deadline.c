// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Deadlines: every wait has an end time, none has a counter.
 */
#include "config.h"

#include <errno.h>
#include <time.h>

#include "internal.h"

int64_t xlrbd__now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void xlrbd__deadline_set(struct xlrbd__deadline *deadline, int64_t ms)
{
	deadline->end_ms = xlrbd__now_ms() + ms;
}

int64_t xlrbd__deadline_left(const struct xlrbd__deadline *deadline)
{
	int64_t left = deadline->end_ms - xlrbd__now_ms();

	return left > 0 ? left : 0;
}

bool xlrbd__deadline_pause(const struct xlrbd__deadline *deadline,
			   unsigned int *pause_ms, unsigned int max_ms)
{
	int64_t left = xlrbd__deadline_left(deadline);
	int64_t ms = *pause_ms < left ? *pause_ms : left;
	struct timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};

	if (!left)
		return false;
	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
	*pause_ms = *pause_ms * 2 < max_ms ? *pause_ms * 2 : max_ms;
	return true;
}
