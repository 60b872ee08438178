using System;
using System.Linq;
using System.Threading.Tasks;

using Perper.Model;
using Perper.Protocol;

namespace Perper.Extensions
{
    /// <summary>A stream in the making.</summary>
    public class PerperStreamBuilder
    {
        private readonly Scope scope = PerperContext.CurrentScope;
        private readonly PerperStreamOptions options = new();
        private readonly object gate = new();
        private PerperStream? stream;
        private bool isDeclared;
        private bool isStarted;

        /// <summary>Begins a stream.</summary>
        /// <param name="delegate">Who fills it; null for a blank stream.</param>
        public PerperStreamBuilder(string? @delegate) => Delegate = @delegate;

        /// <summary>Who fills it.</summary>
        public string? Delegate { get; }

        /// <summary>Whether anybody may write it.</summary>
        public bool IsBlank => Delegate is null;

        private ScopedPerper Perper => (ScopedPerper)scope.Context;

        /// <summary>
        /// The reference, before the stream is started: so that it can be handed to whoever the stream's own generator will
        /// be told of. The options are settled by asking for it.
        /// </summary>
        public PerperStream Stream
        {
            get
            {
                lock (gate)
                {
                    if (stream is null)
                    {
                        stream = Perper.NewStream(options);
                        isDeclared = !IsBlank;
                        if (isDeclared)
                        {
                            // Ordered before whatever uses the reference.
                            Perper.DeclareStream(stream, options);
                        }
                    }

                    return stream;
                }
            }
        }

        /// <summary>Creates the stream, and starts its generator with these arguments.</summary>
        public async Task<PerperStream> StartAsync(params object?[] parameters)
        {
            if (IsBlank && parameters.Length > 0)
            {
                throw PerperException.InvalidArgument("a blank stream has no generator, so StartAsync takes no arguments");
            }

            lock (gate)
            {
                if (isStarted)
                {
                    throw PerperException.InvalidArgument("the stream has been started already");
                }

                isStarted = true;
                stream ??= Perper.NewStream(options);
            }

            if (IsBlank)
            {
                await Perper.CreateStreamAsync(stream, options, declared: false, linkedExecution: "").ConfigureAwait(false);
                return stream;
            }

            return await Perper.StartStreamAsync(stream, isDeclared, Perper.CurrentAgent, Delegate!, options, parameters).ConfigureAwait(false);
        }

        /// <summary>Keeps items that everybody has processed.</summary>
        public PerperStreamBuilder Persistent() => Configure(options => options.Persistent = true);

        /// <summary>Removes items that everybody has processed. The default.</summary>
        public PerperStreamBuilder Ephemeral() => Configure(options => options.Persistent = false);

        /// <summary>Makes keys a fixed distance apart; they may be written in any order, listeners get them in order.</summary>
        public PerperStreamBuilder Packed(long stride) => Configure(options => options.Stride = stride);

        /// <summary>Starts the generator at once, not with the first listener.</summary>
        public PerperStreamBuilder Action() => Configure(options => options.Action = true);

        /// <summary>Indexes the members of a type of items that are marked so.</summary>
        public PerperStreamBuilder Index(Type type) => Configure(options => options.IndexTypes = options.IndexTypes.Append(type));

        /// <summary>Indexes the members of a type of items that are marked so.</summary>
        public PerperStreamBuilder Index<T>() => Index(typeof(T));

        /// <summary>Changes the options.</summary>
        public PerperStreamBuilder Configure(Action<PerperStreamOptions> change)
        {
            lock (gate)
            {
                if (stream is not null)
                {
                    throw PerperException.InvalidArgument("the stream's options are settled; configure it before asking for its reference or starting it");
                }

                change(options);
            }

            return this;
        }
    }
}
