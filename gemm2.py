import torch,time
print(torch.__version__, torch.backends.mkl.is_available(), torch.backends.mkldnn.is_available())
def med(f,n=12):
    for _ in range(3): f()
    ts=[]
    for _ in range(n):
        t=time.perf_counter();f();ts.append(time.perf_counter()-t)
    ts.sort();return round(ts[n//2]*1e3,2)
for thr in (1,2):
    torch.set_num_threads(thr)
    x=torch.randn(8000,128);w=torch.randn(1024,128);b=torch.randn(1024);o=torch.empty(8000,1024);g=torch.randn(8000,1024)
    wt=w.T.contiguous()
    print(thr,"mm",med(lambda:torch.mm(x,w.T,out=o)),"mm nt",med(lambda:torch.mm(x,wt,out=o)), "mkldnn lin", med(lambda:torch.ops.mkldnn._linear_pointwise(x,w,b,"none",[],"")))
    print("gx mm", med(lambda: g@w), "mkldnn", med(lambda:torch.ops.mkldnn._linear_pointwise(g,wt,None,"none",[],"")),"gw", med(lambda: g.T@x), "gw mkldnn (contig copies)", med(lambda:torch.ops.mkldnn._linear_pointwise(g.T.contiguous(),x.T.contiguous(),None,"none",[],"")),  med(lambda:torch.ops.mkldnn._linear_pointwise(x.T.contiguous(),g.T.contiguous(),None,"none",[],"")))
    try: print("mkldnn matmul g.T", med(lambda:torch.ops.mkldnn._linear_pointwise(g.T,x.T,None,"none",[],"")))
    except Exception as e: print(e)
