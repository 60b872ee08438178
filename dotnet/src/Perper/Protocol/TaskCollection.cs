using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Perper.Protocol
{
    /// <summary>Tasks that come and go, and one task that is over when none is left or one has failed.</summary>
    public sealed class TaskCollection
    {
        private readonly TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly object gate = new();
        private int running;

        /// <summary>How many tasks run.</summary>
        public int Count => Volatile.Read(ref running);

        /// <summary>Starts a task and adds it.</summary>
        public void Add(Func<Task> taskFactory)
        {
            lock (gate)
            {
                running++;
            }

            Watch(taskFactory);
        }

        /// <summary>Adds a task.</summary>
        public void Add(Task task) => Add(() => task);

        /// <summary>Adds tasks.</summary>
        public void AddRange(IEnumerable<Task> tasks)
        {
            foreach (var task in tasks)
            {
                Add(task);
            }
        }

        /// <summary>Adds the tasks that come, and is not over before no more come.</summary>
        public void AddRange(IAsyncEnumerable<Task> tasks) => AddRange(tasks, static task => task);

        /// <summary>Adds a task for each item that comes, and is not over before no more come.</summary>
        public void AddRange<T>(IAsyncEnumerable<T> items, Func<T, Task> taskFactory) => Add(async () =>
        {
            await foreach (var item in items.ConfigureAwait(false))
            {
                Add(() => taskFactory(item));
            }
        });

        private async void Watch(Func<Task> taskFactory)
        {
            try
            {
                await taskFactory().ConfigureAwait(false);
            }
            catch (OperationCanceledException cancelled)
            {
                over.TrySetCanceled(cancelled.CancellationToken);
            }
            catch (Exception error)
            {
                over.TrySetException(error);
            }

            lock (gate)
            {
                if (--running == 0)
                {
                    over.TrySetResult();
                }
            }
        }

        /// <summary>Over when every task is over, those added meanwhile included; or as soon as one has failed.</summary>
        public Task GetTask()
        {
            lock (gate)
            {
                if (running == 0)
                {
                    over.TrySetResult();
                }
            }

            return over.Task;
        }
    }
}
