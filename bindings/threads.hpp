// One call of the core on many threads: those of a framework, or a small pool of our own where it lends none.
//
// The caller takes tasks too, and waits only for those that another thread has begun, so calls may come from any
// thread, at once and nested.
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "feedbackward.h"

// Tasks 0 .. count - 1 of one call of the core, for as many threads as take part.
class Job {
public:
    using Task = void (*)(void* argument, int64_t index);

    Job(int64_t count, Task task, void* argument) : count_(count), task_(task), argument_(argument) {}

    // Runs tasks that nobody has begun until there are none. Whoever comes late finds none.
    void take_all() {
        int64_t mine = 0;
        for (int64_t i = next_++; i < count_; i = next_++, ++mine) task_(argument_, i);
        if (!mine) return;
        const std::lock_guard<std::mutex> lock(mutex_);
        done_ += mine;
        if (done_ == count_) all_done_.notify_all();
    }

    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        all_done_.wait(lock, [&] { return done_ == count_; });
    }

    // Runs all tasks; `schedule` asks `helpers` other threads to take some of a job.
    template <class Schedule>
    static void run(int64_t count, Task task, void* argument, int64_t helpers, Schedule&& schedule) {
        if (helpers <= 0) {
            for (int64_t i = 0; i < count; ++i) task(argument, i);
            return;
        }
        const auto job = std::make_shared<Job>(count, task, argument);
        schedule(job);
        job->take_all();
        job->wait();
    }

private:
    const int64_t count_;
    const Task task_;
    void* const argument_;
    std::atomic<int64_t> next_ = 0;
    std::mutex mutex_;
    std::condition_variable all_done_;
    int64_t done_ = 0;
};

class Pool {
public:
    static Pool& shared() {
        static Pool* pool = new Pool;  // never destroyed: its threads may outlive the destructors of the process
        return *pool;
    }

    // How many threads work on one call, the caller among them; 0: as many as there are processors for this process.
    void resize(int64_t threads) { wanted_ = threads; }

    void run(int64_t count, Job::Task task, void* argument) {
        const int64_t helpers = std::min(count, threads()) - 1;
        Job::run(count, task, argument, helpers, [&](const std::shared_ptr<Job>& job) {
            {
                const std::lock_guard<std::mutex> lock(mutex_);
                grow(helpers);
                for (int64_t i = 0; i < helpers; ++i) jobs_.push_back(job);
            }
            wake_.notify_all();
        });
    }

private:
    int64_t threads() const {
        const int64_t wanted = wanted_;
        if (wanted > 0) return wanted;
        cpu_set_t set;
        return sched_getaffinity(0, sizeof set, &set) ? int64_t(std::thread::hardware_concurrency()) : CPU_COUNT(&set);
    }

    // Fewer than wanted where the system gives no more: the caller does what they leave.
    void grow(int64_t workers) try {
        for (; workers_ < workers; ++workers_) std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
    }

    void work() {
        for (;;) {
            std::shared_ptr<Job> job;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return !jobs_.empty(); });
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
            job->take_all();
        }
    }

    std::atomic<int64_t> wanted_ = 0;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::shared_ptr<Job>> jobs_;
    int64_t workers_ = 0;
};

inline constexpr fb_threads pool_threads = {
    [](int64_t count, Job::Task task, void* argument) { Pool::shared().run(count, task, argument); }};
