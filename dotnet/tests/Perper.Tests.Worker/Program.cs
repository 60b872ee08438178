// An agent process for tests that end one. It says a line for whatever happens, so that nobody has to guess when.
using System;
using System.Threading;
using System.Threading.Tasks;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Perper.Application;

var (name, holds) = (args[0], args[1] == "holds");
using var go = new SemaphoreSlim(0);
using var host = Host.CreateDefaultBuilder()
    .ConfigureLogging(logging => logging.ClearProviders())
    .ConfigurePerper(perper => perper.AddHandler("Work", "Do", async (CancellationToken cancellation) =>
    {
        Console.WriteLine("begun");
        if (holds)
        {
            await go.WaitAsync(cancellation);
        }

        return name;
    }))
    .Build();
host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.Register(() => Console.WriteLine("stopping"));
await host.StartAsync();
Console.WriteLine("serving");
// Each line of the input lets one handler go on.
_ = Task.Run(() =>
{
    while (Console.ReadLine() is not null)
    {
        go.Release();
    }
});
await host.WaitForShutdownAsync();
Console.WriteLine("over");
