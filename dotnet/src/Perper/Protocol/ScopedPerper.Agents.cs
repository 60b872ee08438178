using System.Threading.Tasks;

using Perper.Model;

namespace Perper.Protocol
{
    internal sealed partial class ScopedPerper
    {
        (PerperAgent Instance, DelayedCreateFunc Start) IPerperAgents.Create(PerperAgent? parent, string agent)
        {
            var instance = new PerperAgent(agent, fabric.NewId());
            return (instance, arguments => StartInstanceAsync<Nothing>(parent, instance, arguments));
        }

        (PerperAgent Instance, DelayedCreateFunc<TResult> Start) IPerperAgents.Create<TResult>(PerperAgent? parent, string agent)
        {
            var instance = new PerperAgent(agent, fabric.NewId());
            return (instance, arguments => StartInstanceAsync<TResult>(parent, instance, arguments));
        }

        internal async Task<TResult> StartInstanceAsync<TResult>(PerperAgent? parent, PerperAgent instance, object?[] arguments)
        {
            var (rest, cancellation) = OwnCancellation(arguments);
            var owner = parent?.Instance ?? Scope.Owner;
            var answer = await Scope.Port.RequestAsync(Operation.StartInstance, (Scope, owner, instance, rest), static (record, it) =>
            {
                record.WriteU64(it.Scope.Invocation);
                record.WriteU64(Scope.Timeout());
                record.WriteText(it.instance.Agent);
                record.WriteText(it.instance.Instance);
                record.WriteText(it.owner);
                record.WriteArguments(it.rest);
                record.WriteHeaders(Scope.Trace());
            }, cancellation).ConfigureAwait(false);
            if (typeof(TResult) == typeof(Nothing))
            {
                return default!;
            }

            var started = new RecordReader(answer).Expect(3);
            started.ReadU64();
            return Sequences.Results<TResult>.Read(ref started);
        }

        public async Task<bool> DestroyAsync(PerperAgent agent)
        {
            var answer = await Scope.Port.RequestAsync(Operation.StopInstance, agent, static (record, agent) =>
            {
                record.WriteText(agent.Instance);
                record.WriteBool(false);
                record.WriteU64(Scope.Timeout());
            }).ConfigureAwait(false);
            return new RecordReader(answer).Expect(2).ReadI64() != 0;
        }
    }
}
